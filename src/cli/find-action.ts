/** Finds an action wherever it is still kept: a running workflow answers, an ended one is read from history, an old one from the ledger. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { digest, type Digest } from '../action/json.js';
import type { ActionView } from '../action/outcome.js';
import type { Countersign } from '../client/countersign.js';
import { isUnreached, temporalUnavailable } from '../client/connection.js';
import { workflowUrl } from '../telling/workflow-url.js';
import type { ActionName, Context } from './context.js';
import { requestOf, type Request } from '../telling/request.js';
import { viewOf, type Story } from '../telling/story.js';

/** @throws CountersignError NOT_FOUND, TEMPORAL_UNAVAILABLE (when no ledger is at hand either), TIMED_OUT */
export async function findAction(context: Context, name: ActionName): Promise<Story> {
  let missing: CountersignError;
  try {
    const countersign = await context.countersign();
    const described = await describe(countersign.temporal, name, context.temporalSettings.address);
    if (described !== undefined) return await fromTemporal(context, countersign, name, described);
    missing = notFound(name);
  } catch (thrown) {
    missing = asCountersignError(thrown);
    if (missing.code !== 'TEMPORAL_UNAVAILABLE') throw missing;
  }
  if (!context.hasLedger()) throw missing;
  if (missing.code === 'TEMPORAL_UNAVAILABLE') context.out.warn(`${missing.message} The ledger is asked instead.`);
  return fromLedger(context, name, missing);
}

/** Stands for a digest that cannot be read: no text has it. */
const UNREADABLE: Digest = `sha256:${'0'.repeat(64)}`;

/** The action's page in the Temporal UI: TEMPORAL_UI_URL, default http://127.0.0.1:8233. */
export function uiUrl({ env, temporalSettings: { namespace } }: Context, name: ActionName): string {
  return workflowUrl({ uiUrl: env['TEMPORAL_UI_URL'] || 'http://127.0.0.1:8233', namespace }, name);
}

async function describe(
  temporal: Client,
  { tenant, actionId }: ActionName,
  address: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await temporal.workflow.getHandle(`${tenant}/${actionId}`).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw isUnreached(error) ? temporalUnavailable(address, error) : asCountersignError(error);
  }
}

async function fromTemporal(
  context: Context,
  countersign: Countersign,
  name: ActionName,
  described: WorkflowExecutionDescription,
): Promise<Story> {
  const { tenant, actionId } = name;
  const running = described.status.name === 'RUNNING';
  const request = await requestOf(countersign.temporal, described);
  const view = running
    ? await context.answered(countersign, () => countersign.view(actionId, tenant))
    : await endedView(context, countersign, name, described, request);
  const warnings = [
    ...misfits(view, request),
    ...(running || view.outcome !== undefined ? [] : [endedOtherwise(described)]),
  ];
  return {
    view,
    ...(request === undefined ? {} : { proposal: request.proposal }),
    proposedAt: described.startTime.toISOString(),
    ...(described.closeTime === undefined ? {} : { endedAt: described.closeTime.toISOString() }),
    keptBy: 'temporal',
    url: uiUrl(context, name),
    warnings,
  };
}

/** Needs no worker: the outcome is in the history. A workflow that was terminated has none; then the ledger may know one. */
async function endedView(
  context: Context,
  countersign: Countersign,
  name: ActionName,
  described: WorkflowExecutionDescription,
  request: Request | undefined,
): Promise<ActionView> {
  const { tenant, actionId } = name;
  if (described.status.name === 'COMPLETED') return viewOf(await countersign.outcome(actionId, { tenant }));
  if (context.hasLedger()) {
    const record = await (await context.ledger()).actions.find(tenant, actionId);
    if (record?.outcome !== undefined) return viewOf(record.outcome);
  }
  return {
    phase: 'ended',
    tenant,
    actionId,
    proposalDigest: request?.digest ?? UNREADABLE,
    tool: request?.proposal.tool ?? '(unreadable)',
    approvals: [],
    refusedApprovals: [],
    cancelRequested: false,
  };
}

function endedOtherwise({ status }: WorkflowExecutionDescription): string {
  return `Its workflow ended as ${status.name} and left no outcome: somebody ended it in Temporal. Whether its effect happened, the system itself must be asked.`;
}

/** History can be written by others than workers: what does not belong together is said. */
function misfits({ proposalDigest, outcome, pending }: ActionView, request: Request | undefined): string[] {
  if (request === undefined) return [];
  const known = outcome !== undefined || pending !== undefined;
  if (known && digest(request.proposal) !== proposalDigest) {
    return ['The proposal in the history is not the one that this outcome is of: its digest differs.'];
  }
  return [];
}

async function fromLedger(context: Context, name: ActionName, missing: CountersignError): Promise<Story> {
  const { tenant, actionId } = name;
  const record = await (await context.ledger()).actions.find(tenant, actionId);
  if (record?.outcome !== undefined) return { view: viewOf(record.outcome), keptBy: 'ledger', warnings: [] };
  if (record === undefined) throw missing;
  throw new CountersignError('NOT_FOUND', `The ledger has action ${actionId} as open, and Temporal does not know it.`, {
    field: 'actionId',
    expected: 'an action that Temporal runs or that has ended',
    fix: 'Check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE: it runs elsewhere, or its workflow was deleted.',
  });
}

function notFound({ tenant, actionId }: ActionName): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no action ${actionId} of tenant ${tenant}.`, {
    field: 'actionId',
    expected: 'the id of an action of this tenant',
    fix: 'List the actions: countersign list',
  });
}
