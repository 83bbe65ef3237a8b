/** Answers with the page of an action as it is now: what this person may do there, and what went wrong before. */
import type { Context } from 'hono';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { CountersignError } from '../../../action/errors.js';
import type { GatewayDependencies } from '../../deps.js';
import type { PersonPrincipal } from '../../auth/principal.js';
import { statusOf } from '../../middleware/problem.js';
import { Sanitized } from '../components/sanitized-text.js';
import { Notice } from '../components/parts.js';
import { page } from '../layout/layout.js';
import { Refusal } from '../layout/problem.js';
import type { DecisionRights, Draft } from './decision-panel.js';
import { decisionRightsOf } from './decision-rights.js';
import { ActionPage } from './page.js';
import type { ShownAction } from './read.js';

/** What the person asked for on the page, and was refused. */
export interface RefusedForm extends Draft {
  readonly error: CountersignError;
}

export async function showAction(
  deps: GatewayDependencies,
  c: Context,
  person: PersonPrincipal,
  action: ShownAction,
  refused?: RefusedForm,
): Promise<Response> {
  const { view, archived, proposal, stuck, warnings } = action;
  const now = new Date();
  const request = archived?.approvalRequest;
  const waitedSeconds =
    request === undefined ? 0 : Math.max(0, (now.getTime() - Date.parse(request.firstAskedAt)) / 1000);
  const over = view.phase === 'ended';
  return page(
    c,
    {
      title: view.pending?.shown.preview.summary ?? archived?.summary ?? view.actionId,
      person,
      section: view.pending === undefined ? 'history' : 'inbox',
      scripts: view.pending === undefined ? [] : ['simplewebauthn.js'],
      ...(over ? {} : { live: `/v1/actions/${encodeURIComponent(view.actionId)}/events` }),
    },
    <ActionPage
      view={view}
      person={person}
      rights={await rightsOf(deps, person, action, waitedSeconds)}
      selfApproval={deps.settings.selfApproval}
      proposal={proposal}
      askedAt={request?.firstAskedAt ?? action.proposedAt}
      endedAt={action.endedAt}
      waitedSeconds={waitedSeconds}
      revisedBy={archived?.revisedBy ?? []}
      deliveries={archived?.deliveries ?? []}
      stuck={stuck}
      temporalUrl={action.url}
      draft={refused}
      notices={<Notices refused={refused} warnings={warnings} />}
      now={now}
    />,
    refused === undefined ? 200 : statusOf(refused.error.code),
  );
}

function Notices({
  refused,
  warnings,
}: {
  readonly refused: RefusedForm | undefined;
  readonly warnings: readonly string[];
}): JSX.Element {
  return (
    <>
      {refused === undefined ? null : <Refusal error={refused.error.toJSON()} />}
      {warnings.map((warning) => (
        <Notice tone="warn" title="The record is incomplete">
          <p>
            <Sanitized text={warning} max={600} />
          </p>
        </Notice>
      ))}
    </>
  );
}

async function rightsOf(
  { ledger, settings: { selfApproval } }: GatewayDependencies,
  person: PersonPrincipal,
  { view: { pending } }: ShownAction,
  waitedSeconds: number,
): Promise<DecisionRights> {
  if (pending === undefined) return { kind: 'may_not', why: '' };
  const { shown } = pending;
  const asksPasskey = shown.requirements.some(({ passkey }) => passkey === true);
  const [duties, passkeys] = await Promise.all([
    ledger.roleDelegations.of(person.tenant, person.id),
    asksPasskey ? ledger.passkeys.list(person.tenant, person.id) : [],
  ]);
  return decisionRightsOf({
    person,
    shown,
    waitedSeconds,
    duties: duties.map(({ role }) => role),
    hasPasskey: passkeys.some(({ retired }) => retired === undefined),
    selfApproval,
  });
}
