/** The proposal: its reasons, what exactly would change, and which policies require approval. */
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Decision, Requirement } from '../../../action/decision.js';
import type { Shown } from '../../../action/outcome.js';
import { MAX_SOURCE, type Expect, type Proposal, type Source } from '../../../action/proposal.js';
import { textWarnings } from '../../../presentation/text-warnings.js';
import { changesAhead, money } from './changes.js';
import { countsText, rehearsedChanges, type TableChanges } from './rehearsed-changes.js';
import { RowDiff } from '../components/diff.js';
import { count, duration, either, plural } from '../components/format.js';
import { Sanitized, SanitizedBlock } from '../components/sanitized-text.js';
import { Fact, Hash } from '../components/parts.js';

/** The agent's reasons and beliefs, marked as its own. */
export function Why({
  proposal,
  environment,
}: {
  readonly proposal: Proposal;
  readonly environment: string | undefined;
}): JSX.Element {
  const { reasoning, expectedOutcome, claims = {}, from = [] } = proposal;
  return (
    <section class="why" aria-labelledby="why">
      <h2 id="why">Why</h2>
      {reasoning === undefined ? (
        <p class="mute">The agent gives no reason.</p>
      ) : (
        <figure class="words">
          <figcaption>The agent’s own words (not checked)</figcaption>
          <blockquote>
            <SanitizedBlock text={reasoning} />
          </blockquote>
        </figure>
      )}
      {expectedOutcome === undefined ? null : (
        <figure class="words">
          <figcaption>The outcome the agent expects, in its own words</figcaption>
          <blockquote>
            <SanitizedBlock text={expectedOutcome} />
          </blockquote>
        </figure>
      )}
      {Object.keys(claims).length === 0 ? null : (
        <dl class="facts">
          {Object.entries(claims).map(([name, value]) => (
            <div>
              <dt>
                claims <Sanitized text={name} max={64} />
              </dt>
              <dd>
                <Sanitized text={value} max={256} /> <ClaimCheck name={name} value={value} environment={environment} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      <Sources sources={from} />
    </section>
  );
}

/** What led to it, the untrusted first: somebody else may have written what the agent follows. */
function Sources({ sources }: { readonly sources: readonly Source[] }): JSX.Element {
  if (sources.length === 0) return <></>;
  const untrusted = sources.filter(({ trust }) => trust === 'untrusted');
  const trusted = sources.filter(({ trust }) => trust === 'trusted');
  return (
    <dl class="facts">
      <div>
        <dt>comes from</dt>
        <dd>
          <ul class="plain">
            {[...untrusted, ...trusted].map(({ source, trust }) => (
              <li>
                <Sanitized text={source} max={MAX_SOURCE} />{' '}
                {trust === 'untrusted' ? (
                  <strong class="wrong">not trusted: somebody else may have written it</strong>
                ) : (
                  <span class="mute">(trusted, says the agent)</span>
                )}
              </li>
            ))}
          </ul>
        </dd>
      </div>
    </dl>
  );
}

/** A claim is the agent's belief. The one about the environment can be checked. */
function ClaimCheck(props: {
  readonly name: string;
  readonly value: string;
  readonly environment: string | undefined;
}): JSX.Element {
  const { name, value, environment } = props;
  if (name !== 'environment' || environment === undefined) return <span class="mute">(not checked)</span>;
  if (value.toLowerCase() === environment.toLowerCase()) return <span class="mute">(correct)</span>;
  return (
    <strong class="wrong">
      ✕ wrong: the environment is <Sanitized text={environment} max={40} />
    </strong>
  );
}

export function WhatWouldChange({ shown }: { readonly shown: Shown }): JSX.Element {
  const { preview, proposal, operation, actionType } = shown;
  const rehearsed = rehearsedChanges(shown);
  const changes = rehearsed === undefined ? changesAhead(shown) : undefined;
  return (
    <section aria-labelledby="what">
      <h2 id="what">{actionType === 'READ' ? 'What would be read' : 'What would change'}</h2>
      <Warnings shown={shown} />
      <dl class="facts figures">
        <Fact label={preview.rows === 1 ? 'row or object' : 'rows or objects'}>
          <strong class="big">{count(preview.rows)}</strong>
        </Fact>
        {money(proposal.input).map(({ label, amount }) => (
          <div>
            <dt>
              <Sanitized text={label} max={40} />, as the agent wrote it
            </dt>
            <dd>
              <strong class="big">
                <Sanitized text={amount} max={60} />
              </strong>
            </dd>
          </div>
        ))}
        <Fact label="operation">
          <Sanitized text={operation} max={60} /> <span class="mute">({actionType})</span>
        </Fact>
        <Fact label="writes">
          <Sanitized text={preview.targets.join(', ') || 'nothing'} max={400} />
        </Fact>
        {preview.reads.length === 0 ? null : (
          <Fact label="reads">
            <Sanitized text={preview.reads.join(', ')} max={400} />
          </Fact>
        )}
      </dl>
      {changes === undefined ? null : <RowDiff changes={changes} />}
      {rehearsed === undefined ? null : <Rehearsed tables={rehearsed} />}
      <Input proposal={proposal} />
      <Whole shown={shown} />
    </section>
  );
}

/** The rows of every table that the change wrote when it was tried and rolled back. */
function Rehearsed({ tables }: { readonly tables: readonly TableChanges[] }): JSX.Element {
  return (
    <div class="rehearsed">
      <p class="note">The change was rehearsed: it was made, looked at and rolled back. This is all that it did.</p>
      {tables.map(({ table, counts, changes }) => (
        <section>
          <h3>
            <Sanitized text={table} max={120} /> <span class="mute">{countsText(counts)}</span>
          </h3>
          {changes === undefined ? null : <RowDiff changes={changes} />}
        </section>
      ))}
    </div>
  );
}

function Warnings({ shown }: { readonly shown: Shown }): JSX.Element {
  const { preview } = shown;
  const all = [
    ...(preview.schemaChange ? ['The action changes the database schema.'] : []),
    ...(preview.warnings ?? []),
    ...textWarnings(shown, { quote: true }).map((warning) => `Look twice: ${warning}`),
  ];
  if (all.length === 0) return <></>;
  return (
    <ul class="warnings">
      {all.map((warning) => (
        <li>
          <span class="sign" aria-hidden="true">
            !
          </span>
          <span class="visually-hidden">Warning: </span>
          <Sanitized text={warning} max={1000} />
        </li>
      ))}
    </ul>
  );
}

/** Whatever the page cuts elsewhere can be read here: nobody signs what they could not have seen. */
function Whole({ shown }: { readonly shown: Shown }): JSX.Element {
  return (
    <details class="plain">
      <summary>Everything that a decision here is bound to</summary>
      <SanitizedBlock text={JSON.stringify(shown, null, 2)} code max={3000} />
    </details>
  );
}

/** The whole input, since that is what is done. A statement stands open: it cannot be told from its parameters. */
export function Input({ proposal }: { readonly proposal: Proposal }): JSX.Element {
  const { sql, ...rest } = proposal.input;
  const command = typeof sql === 'string' ? sql : undefined;
  return (
    <>
      {command === undefined ? null : (
        <>
          <h3>The statement</h3>
          <SanitizedBlock text={command} code max={4000} />
        </>
      )}
      <details class="plain">
        <summary>{command === undefined ? 'The exact input' : 'The rest of the input'}</summary>
        <SanitizedBlock text={JSON.stringify(command === undefined ? proposal.input : rest, null, 2)} code max={6000} />
      </details>
      <Expectations proposal={proposal} />
    </>
  );
}

/** What the action is to be judged by. */
function Expectations({ proposal: { expect } }: { readonly proposal: Proposal }): JSX.Element {
  if (expect === undefined) return <></>;
  const each = typeof expect === 'string' ? [{ cel: expect }] : Array.isArray(expect) ? expect : [expect];
  return (
    <>
      <h3>Expected afterwards</h3>
      {(each as readonly (Expect & { readonly name?: string })[]).map(({ name, cel, withinMs }) => (
        <div class="expectation">
          {name === undefined ? null : (
            <span class="label">
              <Sanitized text={name} max={63} />
            </span>
          )}
          <SanitizedBlock text={cel} code />
          {withinMs === undefined ? null : <span class="mute">within {duration(withinMs)}</span>}
        </div>
      ))}
    </>
  );
}

/** The policies that want people, and whom. */
export function Policies({
  requirements,
  decision,
}: {
  readonly requirements: readonly Requirement[];
  readonly decision: Decision | undefined;
}): JSX.Element {
  if (requirements.length === 0 && decision === undefined) return <></>;
  return (
    <section aria-labelledby="policies">
      <h2 id="policies">{requirements.length > 0 ? 'Policies that require approval' : 'Policy decision'}</h2>
      <ul class="policies">
        {requirements.map((requirement) => (
          <li>
            <p>
              <Sanitized text={requirement.reason} max={500} />
            </p>
            <p class="mute">
              <code>
                <Sanitized text={requirement.policy} max={80} />
              </code>{' '}
              requires <Sanitized text={requirementText(requirement)} max={600} />
            </p>
          </li>
        ))}
        {requirements.length > 0 || decision === undefined ? null : <Determined decision={decision} />}
      </ul>
      {decision === undefined ? null : <Constraints decision={decision} />}
    </section>
  );
}

function Determined({ decision }: { readonly decision: Decision }): JSX.Element {
  const { violations, policies, reason, errors } = decision;
  return (
    <>
      {violations.length > 0 ? null : (
        <li>
          <p>
            <Sanitized text={reason} max={600} />
          </p>
          <p class="mute">
            <code>
              <Sanitized text={policies.join(', ') || 'no policy'} max={400} />
            </code>
          </p>
        </li>
      )}
      {violations.map((violation) => (
        <li>
          <p>
            <Sanitized text={violation.reason} max={600} />
          </p>
          <p class="mute">
            <code>
              <Sanitized text={violation.policy} max={80} />
            </code>
          </p>
        </li>
      ))}
      {errors.map((error) => (
        <li class="wrong">
          <Sanitized text={error} max={600} />
        </li>
      ))}
    </>
  );
}

function Constraints({ decision }: { readonly decision: Decision }): JSX.Element {
  return (
    <dl class="facts">
      {decision.constraints.map(({ name, value, policy }) => (
        <div>
          <dt>
            <Sanitized text={name} max={63} />
          </dt>
          <dd>
            <Sanitized text={String(value)} max={200} />{' '}
            <span class="mute">
              required by <Sanitized text={policy} max={80} />
            </span>
          </dd>
        </div>
      ))}
      <Fact label="policy digest">
        <Hash value={decision.policyDigest} />
      </Fact>
    </dl>
  );
}

/** `2 of dba or lead within 4 h, with a passkey; after 1 h also cto`. */
function requirementText(requirement: Requirement): string {
  const { roles, quorum, ttlSeconds, denials = 1, passkey, self, escalations = [] } = requirement;
  return [
    `${quorum} of ${either(roles)} within ${duration(ttlSeconds * 1000)}`,
    ...(passkey === true ? ['with a passkey'] : []),
    ...(denials > 1 ? [`${plural(denials, 'denial')} to deny it`] : []),
    ...(self === true ? ['the agent’s owner may decide too'] : []),
    ...escalations.map(({ afterSeconds, roles }) => `after ${duration(afterSeconds * 1000)} also ${either(roles)}`),
  ].join('; ');
}
