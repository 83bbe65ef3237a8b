/** Where the policy in shadow decided otherwise than the one in force: a tenant's own decisions, counted, with examples. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { DivergenceKind, DivergentSide, PolicyDivergence, ShadowCounts } from '../../../action/policy-rollout.js';
import { count, either, plural } from '../components/format.js';
import { Empty, Hash, When } from '../components/parts.js';
import { Sanitized } from '../components/sanitized-text.js';
import { actionPath } from '../lists/inbox.js';

const KINDS: Readonly<Record<DivergenceKind, string>> = {
  effect: 'another decision',
  requirements: 'other people asked',
  constraints: 'other constraints',
  error: 'could not decide',
};

export function Divergences({
  divergences,
  more,
  counts,
  now,
}: {
  readonly divergences: readonly PolicyDivergence[];
  /** Whether there are more kinds of them than are shown. */
  readonly more: boolean;
  /** How often it was evaluated beside each active policy. Empty where others' actions are counted too. */
  readonly counts: readonly ShadowCounts[];
  readonly now: Date;
}): JSX.Element {
  const total = divergences.reduce((sum, { count }) => sum + count, 0);
  return (
    <section class="card" aria-labelledby="divergences">
      <h2 id="divergences">Decided otherwise in shadow</h2>
      {counts.map(({ baseline, evaluated, diverged, errors, unlisted, dropped, meanMs }) => (
        <p class="note">
          Beside <Hash value={baseline} />: {plural(evaluated, 'decision')}, {count(diverged)} otherwise
          {errors === 0 ? '' : `, ${count(errors)} of them errors`}
          {unlisted === 0 ? '' : `, ${count(unlisted)} of them not listed below`}
          {dropped === 0 ? '' : `; ${count(dropped)} not evaluated for lack of time`}; {meanMs.toFixed(1)} ms each.
        </p>
      ))}
      {divergences.length === 0 ? (
        <Empty title="No divergence">So far it decided on your tenant’s actions as the policy in force did.</Empty>
      ) : (
        <>
          <p class="note">
            {plural(total, 'decision')} of your tenant, in {plural(divergences.length, 'kind')}
            {more ? ', the most frequent' : ''}. Agents were told nothing of it.
          </p>
          <ul class="list">
            {divergences.map((divergence) => (
              <OneDivergence divergence={divergence} now={now} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function OneDivergence({
  divergence: { kind, tool, agent, live, shadow, count: times, examples, lastAt },
  now,
}: {
  readonly divergence: PolicyDivergence;
  readonly now: Date;
}): JSX.Element {
  return (
    <li>
      <div>
        <p>
          <strong>{plural(times, 'time')}</strong> <span class="tag">{KINDS[kind]}</span>{' '}
          <Sanitized text={agent} max={80} /> on <Sanitized text={tool} max={63} />
          <span class="mute">
            , last <When at={lastAt} now={now} />
          </span>
        </p>
        <p>
          in force: <Side side={live} />
          <br />
          in shadow: <Side side={shadow} />
        </p>
        {examples.length === 0 ? null : (
          <ul class="examples">
            {examples.map(({ actionId, liveReason, shadowReason }) => (
              <li>
                <a href={actionPath(actionId)}>
                  <Sanitized text={actionId} max={60} />
                </a>
                <span class="mute">
                  {' '}
                  “<Sanitized text={liveReason} max={300} />
                  ”; in shadow “<Sanitized text={shadowReason} max={300} />”
                </span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}

const EFFECTS: Readonly<Record<string, string>> = {
  allow: 'allow',
  deny: 'deny',
  require_approval: 'ask people',
  queue: 'wait for room',
  error: 'an error, which denies',
};

function Side({ side: { effect, rules } }: { readonly side: DivergentSide }): JSX.Element {
  return (
    <>
      <strong>
        <Sanitized text={(Object.hasOwn(EFFECTS, effect) ? EFFECTS[effect] : undefined) ?? effect} max={40} />
      </strong>
      {rules.length === 0 ? ' by no rule' : ' by '}
      <Sanitized text={either(rules, 'and')} max={300} />
    </>
  );
}
