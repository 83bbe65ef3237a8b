/** The page of one action: who proposes what, where and why; the decisions; and the outcome. */
import { withoutSecretColumns } from '../../../presentation/secret-columns.js';
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Requirement } from '../../../action/decision.js';
import type { ActionView, ApprovalRecord } from '../../../action/outcome.js';
import type { CompensationView } from '../../../action/saga.js';
import type { Proposal } from '../../../action/proposal.js';
import type { Delivery } from '../../../action/delivery.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { plural } from '../components/format.js';
import { Notice } from '../components/parts.js';
import { Head } from './head.js';
import { Input, Policies, WhatWouldChange, Why } from './proposal.js';
import { Compensation, HowItEnded, Steps, Underway, WhatChanged } from './outcome.js';
import { Panel, type Draft, type DecisionRights } from './decision-panel.js';
import { Decided } from './people.js';
import { Record } from './record.js';
import { Recover, Resolve } from './settle.js';
import { playgroundPath } from '../policy/playground.js';

interface ActionPageProps {
  readonly view: ActionView;
  readonly person: PersonPrincipal;
  /** Whether and how this person may decide what waits. */
  readonly rights: DecisionRights;
  /** Whether whoever answers for an agent may decide on what it does. */
  readonly selfApproval: boolean;
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

export function ActionPage(whole: ActionPageProps): JSX.Element {
  const props = withoutSecretColumns(whole);
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
          {outcome?.status === 'unknown' ? (
            <Resolve person={person} outcome={outcome} selfApproval={props.selfApproval} />
          ) : null}
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
          {outcome?.facts === undefined ? null : (
            <p>
              <a href={playgroundPath(undefined, view.actionId)}>Try a changed rule on it</a>
            </p>
          )}
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
