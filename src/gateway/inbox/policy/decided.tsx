/** Decisions side by side: as it was, under the bundle in force, with the change. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Decision, DecisionEffect } from '../../../action/decision.js';
import { canonical } from '../../../action/json.js';
import type { PolicyTrial } from '../../policy/trial.js';
import { duration, either } from '../components/format.js';
import { Fact, Hash, Notice } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';

const EFFECTS: Readonly<
  Record<DecisionEffect, { readonly text: string; readonly tone: string; readonly sign: string }>
> = {
  allow: { text: 'allow', tone: 'good', sign: '✓' },
  deny: { text: 'deny', tone: 'bad', sign: '⊘' },
  require_approval: { text: 'ask people', tone: 'warn', sign: '…' },
};

export function TrialResult({
  trial: { before, after },
  recorded,
}: {
  readonly trial: PolicyTrial;
  /** What was decided when it was proposed. */
  readonly recorded?: Decision | undefined;
}): JSX.Element {
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
        <p>
          Nothing was stored, and nothing was changed. Limits are facts here, as they stood: what a limit itself would
          say is not asked.
        </p>
      </Notice>
      <div class="cards trial">
        {recorded === undefined ? null : <OneDecision title="As it was decided" decision={recorded} digest />}
        <OneDecision title="Under the bundle in force" decision={before} />
        <OneDecision title="With your change" decision={after} />
      </div>
    </section>
  );
}

/** All but the digest, which differs with every letter. */
function said({ policyDigest: _digest, ...decision }: Decision): string {
  return canonical(decision);
}

function OneDecision({
  title,
  decision: { effect, reason, code, policies, requirements, constraints, errors, policyDigest },
  digest = false,
}: {
  readonly title: string;
  readonly decision: Decision;
  readonly digest?: boolean;
}): JSX.Element {
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
          <Sanitized text={reason} max={1000} />
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
    </article>
  );
}
