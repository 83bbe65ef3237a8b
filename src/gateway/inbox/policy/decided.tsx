/** Decisions side by side: as it was, under the bundle in force, with the change. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Decision } from '../../../action/decision.js';
import { canonical } from '../../../action/json.js';
import type { JudgedEffect } from '../../../policy/authoring/explain/judge.js';
import type { PolicyTrial, TriedDecision } from '../../policy/trial.js';
import { duration, either } from '../components/format.js';
import { Fact, Hash, Notice } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { EFFECTS } from './effects.js';
import { TrialLimits } from './trial-limits.js';
import { WouldChange } from './would-change.js';

export function TrialResult({
  trial,
  recorded,
}: {
  readonly trial: PolicyTrial;
  /** What was decided when it was proposed. */
  readonly recorded?: Decision | undefined;
}): JSX.Element {
  const { before, after } = trial;
  const same = said(before) === said(after);
  return (
    <section id="result" aria-labelledby="result-title">
      <h2 id="result-title">The decision before and after</h2>
      <Notice
        tone={same ? 'plain' : 'warn'}
        title={
          same
            ? 'The change makes no difference here'
            : before.effect === after.effect
              ? 'The decision is the same, on other terms'
              : `It would be ${EFFECTS[after.effect].text} instead of ${EFFECTS[before.effect].text}`
        }
      >
        <p>Nothing was stored, and nothing was changed.</p>
      </Notice>
      <div class="cards trial">
        {recorded === undefined ? null : (
          <OneDecision title="As it was decided" effect={recorded.effect} decision={recorded} digest />
        )}
        <OneDecision title="Under the bundle in force" {...before} tried={before} />
        <OneDecision title="With your change" {...after} tried={after} />
      </div>
      <TrialLimits trial={trial} />
    </section>
  );
}

/** All but the digest, which differs with every letter. */
function said({ effect, reason, decision: { policyDigest: _digest, ...decision } }: TriedDecision): string {
  return canonical({ ...decision, effect, reason });
}

function OneDecision({
  title,
  effect,
  reason,
  decision,
  tried,
  digest = false,
}: {
  readonly title: string;
  readonly effect: JudgedEffect;
  /** Default: the decision's. */
  readonly reason?: string;
  readonly decision: Decision;
  readonly tried?: TriedDecision;
  readonly digest?: boolean;
}): JSX.Element {
  const { code, policies, requirements, constraints, errors, policyDigest } = decision;
  const { text, tone, sign } = EFFECTS[effect];
  return (
    <article class="card">
      <h3>{title}</h3>
      <p>
        <span class={`status ${tone}`}>
          <span class="sign" aria-hidden="true">
            {sign}
          </span>
          {text}
        </span>
      </p>
      <dl class="facts">
        <Fact label="reason">
          <Sanitized text={reason ?? decision.reason} max={1000} />
        </Fact>
        {code === undefined ? null : <Fact label="code">{code}</Fact>}
        <Fact label="by the rules">
          <Sanitized text={policies.join(', ') || 'none'} max={600} />
        </Fact>
        {requirements.map(({ roles, quorum, ttlSeconds, passkey }) => (
          <Fact label="needs">
            <Sanitized
              text={`${quorum === 1 ? '' : `${quorum} of `}${either(roles)} within ${duration(ttlSeconds * 1000)}${passkey === true ? ', with a passkey' : ''}`}
              max={400}
            />
          </Fact>
        ))}
        {constraints.length === 0 ? null : (
          <Fact label="constraints">
            <Sanitized text={constraints.map(({ name, value }) => `${name}=${value}`).join(', ')} max={600} />
          </Fact>
        )}
        {errors.length === 0 ? null : (
          <Fact label="failed">
            <Sanitized text={errors.join(', ')} max={400} />
          </Fact>
        )}
        {digest ? (
          <Fact label="under">
            <Hash value={policyDigest} />
          </Fact>
        ) : null}
      </dl>
      {tried === undefined ? null : <WouldChange {...tried} />}
    </article>
  );
}
