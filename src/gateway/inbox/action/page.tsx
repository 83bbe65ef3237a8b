/** The page of one action: who proposes what, where and why; the decisions; and the outcome. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Requirement } from '../../../action/decision.js';
import type { ActionView, ApprovalRecord, Outcome } from '../../../action/outcome.js';
import type { CompensationView } from '../../../action/saga.js';
import type { Proposal } from '../../../action/proposal.js';
import type { Delivery } from '../../../action/delivery.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { plural } from '../components/format.js';
import { Sanitized } from '../components/sanitized-text.js';
import { actionPath } from '../lists/inbox.js';
import { At, Csrf, Environment, Fact, Hash, Notice, Status, TimeLeft, When } from '../components/parts.js';
import { Input, Policies, WhatWouldChange, Why } from './proposal.js';
import { Compensation, HowItEnded, Steps, Underway, WhatChanged } from './outcome.js';
import { Panel, type Draft, type DecisionRights } from './decision-panel.js';
import { Decided } from './people.js';

interface ActionPageProps {
  readonly view: ActionView;
  readonly person: PersonPrincipal;
  /** Whether and how this person may decide what waits. */
  readonly rights: DecisionRights;
  /** As it was proposed, where it is known. */
  readonly proposal?: Proposal | undefined;
  readonly askedAt?: string | undefined;
  readonly endedAt?: string | undefined;
  readonly waitedSeconds: number;
  /** Those proposed instead of it. */
  readonly revisedBy: readonly string[];
  readonly deliveries: readonly Delivery[];
  /** Where its undoing waits for a person. */
  readonly stuck?: CompensationView | undefined;
  readonly temporalUrl?: string | undefined;
  /** Said above everything: what went wrong with a decision, that it was shown anew. */
  readonly notices?: Child;
  readonly draft?: Draft | undefined;
  readonly now: Date;
}

export function ActionPage(props: ActionPageProps): JSX.Element {
  const { view, person, notices, now } = props;
  const { pending, outcome, phase } = view;
  const shown = pending?.shown;
  const proposal = shown?.proposal ?? props.proposal;
  const environment = shown?.tool.environment ?? outcome?.facts?.tool.environment;
  const requirements = shown?.requirements ?? outcome?.decision?.requirements ?? [];
  const decision = pending?.decision ?? outcome?.decision;
  const mine = view.approvals.find(({ approver }) => approver.toLowerCase() === person.id.toLowerCase());
  return (
    <>
      <div id="notices">{notices}</div>
      <template id="look-again">
        <Notice tone="warn" title="The action has changed since you looked">
          <p>This page shows something else than before. Decisions on what was shown before no longer count.</p>
          <p class="row">
            <button type="button" class="button">
              I have reviewed the change
            </button>
          </p>
        </Notice>
      </template>
      <div class={pending === undefined ? 'action' : 'action waits'} id="action" data-live>
        <div class="details" data-phase={phase}>
          <Head {...props} environment={environment} />
          {outcome === undefined ? null : <HowItEnded outcome={outcome} />}
          {outcome === undefined && pending === undefined ? <Underway view={view} /> : null}
          {outcome?.status === 'unknown' ? <Resolve person={person} outcome={outcome} /> : null}
          {props.stuck === undefined ? null : <Recover person={person} stuck={props.stuck} />}
          {proposal === undefined ? null : <Why proposal={proposal} environment={environment} />}
          {shown === undefined ? null : <WhatWouldChange shown={shown} />}
          {outcome === undefined ? null : <WhatChanged outcome={outcome} />}
          {shown !== undefined || proposal === undefined ? null : (
            <section aria-labelledby="asked">
              <h2 id="asked">What was proposed</h2>
              <Input proposal={proposal} />
            </section>
          )}
          <Policies requirements={requirements} decision={decision} />
          {pending === undefined ? null : <Record {...props} />}
        </div>
        {pending === undefined ? (
          <aside class="beside" aria-label="People, times and the record">
            <People view={view} requirements={requirements} now={now} />
            {outcome === undefined ? null : <Steps steps={outcome.steps} />}
            {outcome === undefined ? null : <Compensation outcome={outcome} />}
            <Record {...props} />
          </aside>
        ) : (
          <Panel
            person={person}
            pending={pending}
            approvals={view.approvals}
            refused={view.refusedApprovals}
            rights={props.rights}
            mine={mine}
            waitedSeconds={props.waitedSeconds}
            draft={props.draft}
            now={now}
          />
        )}
      </div>
    </>
  );
}

function Head({
  view,
  proposal,
  askedAt,
  revisedBy,
  environment,
  now,
}: ActionPageProps & { readonly environment: string | undefined }): JSX.Element {
  const { pending, outcome, actionId, tool } = view;
  const subject = pending?.shown ?? outcome?.facts;
  const revises = (pending?.shown.proposal ?? proposal)?.revises;
  return (
    <header class="subject">
      <p class="crumbs">
        <a href={pending === undefined ? '/history' : '/'}>{pending === undefined ? 'History' : 'Inbox'}</a>
        <span aria-hidden="true">/</span>
        <code>
          <Sanitized text={actionId} max={128} />
        </code>
      </p>
      <p class="where">
        {environment === undefined ? null : <Environment name={environment} large />}
        {outcome === undefined ? null : <Status status={outcome.status} />}
        {outcome === undefined && pending === undefined ? <Status status={view.phase} /> : null}
        <span>
          <Sanitized text={subject?.tool.name ?? tool} max={63} />
          {subject === undefined ? null : <span class="mute"> · {subject.tool.kind}</span>}
        </span>
        {pending === undefined ? null : (
          <span class="only-narrow">
            <TimeLeft until={pending.expiresAt} now={now} />
          </span>
        )}
      </p>
      <h1>
        <Sanitized text={subject?.preview.summary ?? `An action on ${tool}`} max={400} />
      </h1>
      <p class="asker">
        {subject === undefined ? null : <Proposer agent={subject.agent} waits={pending !== undefined} />}
        {askedAt === undefined ? null : <When at={askedAt} now={now} />}
      </p>
      {revises === undefined ? null : (
        <p class="link">
          ↩ Revises{' '}
          <a href={actionPath(revises)}>
            <Sanitized text={revises} max={128} />
          </a>
          , for which changes were requested
        </p>
      )}
      {revisedBy.map((id) => (
        <p class="link">
          ↪ Revised by{' '}
          <a href={actionPath(id)}>
            <Sanitized text={id} max={128} />
          </a>
        </p>
      ))}
    </header>
  );
}

interface ProposingAgent {
  readonly id: string;
  readonly roles: readonly string[];
  readonly owner?: string | undefined;
  readonly via?: readonly string[];
}

function Proposer({
  agent: { id, roles, owner, via = [] },
  waits,
}: {
  readonly agent: ProposingAgent;
  readonly waits: boolean;
}): JSX.Element {
  return (
    <>
      <span>
        <strong>
          <Sanitized text={id} max={160} />
        </strong>{' '}
        {waits ? 'proposes' : 'proposed'}
      </span>
      <span class="mute">
        agent · roles <Sanitized text={roles.join(', ') || 'none'} max={200} />
        {owner === undefined ? null : (
          <>
            {' '}
            · owned by <Sanitized text={owner} max={120} />
          </>
        )}
        {via.length === 0 ? null : (
          <>
            {' '}
            · for <Sanitized text={via.join(' → ')} max={300} />
          </>
        )}
      </span>
    </>
  );
}

function People({
  view,
  requirements,
  now,
}: {
  readonly view: ActionView;
  readonly requirements: readonly Requirement[];
  readonly now: Date;
}): JSX.Element {
  const { approvals, refusedApprovals } = view;
  const given: readonly ApprovalRecord[] = approvals;
  if (given.length === 0 && refusedApprovals.length === 0) {
    return requirements.length === 0 ? <></> : <p class="mute">There are no decisions.</p>;
  }
  return (
    <section aria-labelledby="people">
      <h2 id="people">{plural(given.length, 'decision')}</h2>
      <Decided approvals={given} refused={refusedApprovals} now={now} />
    </section>
  );
}

/** A person resolves an unknown outcome. */
function Resolve({ person, outcome }: { readonly person: PersonPrincipal; readonly outcome: Outcome }): JSX.Element {
  return (
    <section class="settle" aria-labelledby="resolve">
      <h2 id="resolve">Did the effect happen?</h2>
      <p class="mute">Check in the system itself. Your answer is signed and recorded with a receipt.</p>
      <form method="post" action={`${actionPath(outcome.actionId)}/resolution`}>
        <Csrf token={person.session.csrf} />
        <label>
          How do you know?
          <textarea name="reason" rows={3} maxlength={2000} required></textarea>
        </label>
        <div class="row">
          <button class="button" name="verdict" value="happened">
            It happened
          </button>
          <button class="button" name="verdict" value="did_not_happen">
            It did not happen
          </button>
        </div>
      </form>
    </section>
  );
}

/** A compensation failed, and a person decides how to go on. */
function Recover({
  person,
  stuck,
}: {
  readonly person: PersonPrincipal;
  readonly stuck: CompensationView;
}): JSX.Element {
  return (
    <section class="settle" aria-labelledby="recover">
      <Notice tone="warn" title="The action could not be compensated">
        <p>
          <Sanitized text={stuck.reason} max={1000} />
        </p>
      </Notice>
      <h2 id="recover">How should this go on?</h2>
      <form method="post" action={`${actionPath(stuck.cause)}/recovery`}>
        <Csrf token={person.session.csrf} />
        <label>
          Reason
          <textarea name="reason" rows={3} maxlength={2000} required></textarea>
        </label>
        <div class="row">
          <button class="button" name="verdict" value="retry">
            Retry the compensation
          </button>
          <button class="button" name="verdict" value="accept">
            Accept it as it is
          </button>
        </div>
      </form>
    </section>
  );
}

function Record({ view, endedAt, deliveries, temporalUrl, now }: ActionPageProps): JSX.Element {
  const { outcome, pending, proposalDigest } = view;
  const receipt = outcome?.receipt;
  return (
    <section aria-labelledby="record">
      <h2 id="record">Record</h2>
      <dl class="facts">
        <Fact label="proposal">
          <Hash value={proposalDigest} />
        </Fact>
        {pending === undefined ? null : (
          <>
            <Fact label="shown and signed">
              <Hash value={pending.shownDigest} />
            </Fact>
            <Fact label="pre-state">
              <Hash value={pending.shown.preDigest} />
            </Fact>
          </>
        )}
        {outcome === undefined ? null : (
          <Fact label="receipt">
            {receipt === undefined ? (
              'not written yet'
            ) : (
              <>
                <strong>#{receipt.seq}</strong> <Hash value={receipt.hash} />
              </>
            )}
          </Fact>
        )}
        {endedAt === undefined ? null : (
          <Fact label="ended">
            <At at={endedAt} />
          </Fact>
        )}
        {temporalUrl === undefined ? null : (
          <Fact label="Temporal">
            <a href={temporalUrl} rel="noreferrer">
              workflow history
            </a>
          </Fact>
        )}
      </dl>
      {deliveries.length === 0 ? null : (
        <details class="plain">
          <summary>{plural(deliveries.length, 'notification')}</summary>
          <ul class="checks">
            {deliveries.map(({ channel, kind, status, at, detail, attempts }) => (
              <li class={status === 'delivered' ? 'good' : 'bad'}>
                <span class="sign" aria-hidden="true">
                  {status === 'delivered' ? '✓' : '✕'}
                </span>
                <span>
                  <Sanitized
                    text={`${kind}, by ${channel}: ${status}${attempts > 1 ? ` after ${attempts} attempts` : ''}`}
                    max={200}
                  />{' '}
                  <span class="mute">
                    <When at={at} now={now} />
                  </span>
                  {detail === '' ? null : (
                    <span class="detail">
                      <Sanitized text={detail} max={400} />
                    </span>
                  )}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
