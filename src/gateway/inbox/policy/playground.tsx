/** The playground: one proposal, one changed rule, the decision before and after. It works without JavaScript. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { secretsIn } from '../../../action/secrets.js';
import type { ArchivedAction, ArchivedRecord } from '../../../ledger/index.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import type { BundleOutline } from '../../policy/outline.js';
import { Csrf, Fact, When } from '../components/parts.js';
import { Sanitized, SanitizedBlock } from '../components/sanitized-text.js';
import { PolicyHeading } from './heading.js';
import { EXAMPLE, MAX_FACTS, MAX_RULE, type AsOf } from './question.js';

const MOST_ROWS = 24;

const AS_OF_TEXTS: Readonly<Record<AsOf, string>> = {
  record: 'as they were recorded',
  now: 'as they are now',
};

export interface PlaygroundProps {
  readonly person: PersonPrincipal;
  readonly outline: BundleOutline;
  /** The rule that is changed; absent: one is added. */
  readonly rule?: string | undefined;
  /** What its text field holds. */
  readonly text: string;
  /** The recorded action that is decided again. Absent: a proposal is pasted. */
  readonly action?: ArchivedRecord | undefined;
  /** As of when it is decided again. Default as it was recorded. */
  readonly asOf?: AsOf | undefined;
  readonly facts?: string | undefined;
  /** Ended actions to choose from. */
  readonly recent: readonly ArchivedAction[];
  /** What came of it. */
  readonly result?: Child;
  readonly now: Date;
}

export function Playground(props: PlaygroundProps): JSX.Element {
  const { person, outline, rule, text, action, asOf = 'record', facts = EXAMPLE, result } = props;
  return (
    <>
      <PolicyHeading title="Playground" part="playground" />
      {result}
      <p class="note">
        Change a rule of the bundle in force and see what would be decided. Nothing is stored and nobody is told; to
        change the policy itself, change its folder and publish it.
      </p>
      <div class="cards">
        <Choose {...props} />
        <section class="card" aria-labelledby="try">
          <h2 id="try">Try it</h2>
          <form class="form" method="post" action="/policy/playground#result">
            <Csrf token={person.session.csrf} />
            <input type="hidden" name="digest" value={outline.digest} />
            {rule === undefined ? null : <input type="hidden" name="rule" value={rule} />}
            {secretsIn(text).length > 0 ? (
              <p class="note">The rule holds a secret, so it cannot be changed here: use the command line.</p>
            ) : (
              <label>
                {rule === undefined ? 'A rule that is added, in Cedar' : 'The rule, in Cedar'}{' '}
                <span class="mute">{rule === undefined ? '' : '(empty: it is taken out)'}</span>
                <textarea
                  name="text"
                  class="code"
                  spellcheck={false}
                  maxlength={MAX_RULE}
                  rows={Math.min(MOST_ROWS, Math.max(8, text.split('\n').length + 1))}
                >
                  {text}
                </textarea>
              </label>
            )}
            {action === undefined ? (
              <label>
                A proposal with its context, as JSON
                <textarea name="facts" class="code" spellcheck={false} maxlength={MAX_FACTS} rows={12}>
                  {facts}
                </textarea>
              </label>
            ) : (
              <>
                <input type="hidden" name="action" value={action.actionId} />
                <Recorded action={action} />
                <label>
                  Time and figures of limits
                  <select name="asOf">
                    {Object.entries(AS_OF_TEXTS).map(([value, words]) => (
                      <option value={value} selected={value === asOf}>
                        {words}
                      </option>
                    ))}
                  </select>
                </label>
              </>
            )}
            <button class="button go">Decide</button>
          </form>
        </section>
      </div>
    </>
  );
}

export function playgroundPath(rule: string | undefined, action: string | undefined): string {
  const query = new URLSearchParams({
    ...(rule === undefined ? {} : { rule }),
    ...(action === undefined ? {} : { action }),
  });
  return `/policy/playground?${query.toString()}`;
}

/** A form that only leads to another address: which rule, and which action. */
function Choose({ outline, rule, action, recent, now }: PlaygroundProps): JSX.Element {
  return (
    <section class="card" aria-labelledby="choose">
      <h2 id="choose">What to try</h2>
      <form class="form" method="get" action="/policy/playground">
        <label>
          Rule
          <select name="rule">
            <option value="">a new rule</option>
            {outline.rules.map(({ id }) => (
              <option value={id} selected={id === rule}>
                {id}
              </option>
            ))}
          </select>
        </label>
        <label>
          Id of a recorded action <span class="mute">(empty: paste a proposal)</span>
          <input name="action" value={action?.actionId ?? ''} maxlength={128} autocomplete="off" />
        </label>
        <button class="button">Take these</button>
      </form>
      {recent.length === 0 ? null : (
        <>
          <h3>Or one of the latest</h3>
          <ul class="recent">
            {recent.map(({ actionId, summary, endedAt, proposedAt }) => (
              <li>
                <a href={playgroundPath(rule, actionId)}>
                  <Sanitized text={summary ?? actionId} max={90} />
                </a>{' '}
                <span class="mute">
                  <When at={endedAt ?? proposedAt} now={now} />
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** What policy is asked about, as it was recorded. */
function Recorded({ action: { actionId, summary, outcome } }: { readonly action: ArchivedRecord }): JSX.Element {
  const facts = outcome?.facts;
  if (facts === undefined) return <></>;
  const { agent, tool, operation, actionType, preview, now: at, input, limits, from } = facts;
  const { rows, targets, reads, schemaChange } = preview;
  const read = {
    agent,
    tool,
    operation,
    actionType,
    preview: { rows, targets, reads, schemaChange },
    input,
    limits,
    from,
    now: at,
  };
  return (
    <>
      <dl class="facts">
        <Fact label="action">
          <a href={`/actions/${encodeURIComponent(actionId)}`}>
            <Sanitized text={summary ?? actionId} max={140} />
          </a>
        </Fact>
        <Fact label="agent">
          <Sanitized text={`${agent.id} (${agent.roles.join(', ') || 'no roles'})`} max={200} />
        </Fact>
        <Fact label="tool">
          <Sanitized text={`${tool.name} in ${tool.environment}: ${operation} (${actionType})`} max={240} />
        </Fact>
        <Fact label="touches">
          <Sanitized text={`${rows} of ${targets.join(', ') || 'nothing'}`} max={300} />
        </Fact>
      </dl>
      <details class="plain">
        <summary>All that policy knew</summary>
        <SanitizedBlock text={JSON.stringify(read, null, 2)} max={20_000} code label="All that policy knew of it" />
      </details>
    </>
  );
}
