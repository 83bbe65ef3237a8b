/** Finds an action for whoever asks: of their tenant, and for an agent of its own doing. What is not theirs is not there. */
import { CountersignError } from '../../action/errors.js';
import type { ActionView } from '../../action/outcome.js';
import { translated } from '../../client/failures.js';
import { ATTRIBUTES } from '../../temporal.js';
import { openAsk, waitingView } from '../../action-records/waiting.js';
import type { GatewayDependencies } from '../deps.js';
import type { Principal } from '../auth/principal.js';
import type { Found, Started } from './views.js';

type Places = Pick<GatewayDependencies, 'countersign' | 'ledger'>;

/** How long a worker may take to say how an action stands. Without an answer the rest is told. */
const ANSWER_MS = 5000;

/** @throws CountersignError NOT_FOUND, the same for another tenant's, another agent's and none at all */
export async function findFor(places: Places, principal: Principal, actionId: string): Promise<Found> {
  const { tenant } = principal;
  const record = await places.ledger.archive.action(tenant, actionId);
  // What has ended or waits for people is in the ledger; what is under way is in its workflow, or nowhere yet.
  const ask = openAsk(record);
  const view =
    ask !== undefined
      ? waitingView(ask)
      : record?.outcome === undefined
        ? await viewOf(places, tenant, actionId)
        : undefined;
  const found = {
    tenant,
    actionId,
    ...(record === undefined ? {} : { record }),
    ...(view === undefined ? {} : { view }),
  };
  const known = agentOf(found);
  // Before policy was asked, or while no worker answers, only the workflow's start says whose it is.
  const started =
    (record === undefined && view === undefined) || (principal.kind === 'agent' && known === undefined)
      ? await startOf(places, tenant, actionId)
      : undefined;
  if (record === undefined && view === undefined && started === undefined) throw notFound(actionId);
  if (principal.kind === 'agent' && !isOwn(principal.id, known ?? started?.agent)) throw notFound(actionId);
  return { ...found, ...(started === undefined ? {} : { started }) };
}

/** Its own, or that of one below it. */
export function isOwn(agent: string, proposer: string | undefined): boolean {
  return proposer !== undefined && (proposer === agent || proposer.startsWith(`${agent}/`));
}

function agentOf({ record, view }: Found): string | undefined {
  return record?.agent ?? view?.pending?.shown.agent.id ?? (view?.outcome ?? record?.outcome)?.facts?.agent.id;
}

/** Undefined where there is none, or no worker answers. */
async function viewOf({ countersign }: Places, tenant: string, actionId: string): Promise<ActionView | undefined> {
  const over = AbortSignal.timeout(ANSWER_MS);
  try {
    return await countersign.temporal.connection.withAbortSignal(over, () => countersign.view(actionId, tenant));
  } catch (error) {
    if (over.aborted || (error instanceof CountersignError && error.code === 'NOT_FOUND')) return undefined;
    throw error;
  }
}

async function startOf({ countersign }: Places, tenant: string, actionId: string): Promise<Started | undefined> {
  try {
    const handle = countersign.temporal.workflow.getHandle(`${tenant}/${actionId}`);
    const { typedSearchAttributes, startTime } = await handle.describe();
    const agent = typedSearchAttributes.get(ATTRIBUTES.agent);
    return {
      tool: typedSearchAttributes.get(ATTRIBUTES.tool) ?? 'unknown',
      proposedAt: startTime.toISOString(),
      ...(agent === undefined ? {} : { agent }),
    };
  } catch (error) {
    const failure = translated(error, actionId, { address: 'the configured address' });
    if (failure.code === 'NOT_FOUND') return undefined;
    throw failure;
  }
}

function notFound(actionId: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no action ${actionId} here.`, {
    field: 'actionId',
    expected: 'the id of an action that you may see',
    fix: 'List the actions: GET /v1/actions',
  });
}
