/** Reads the whole record of an action for people, from wherever it is still kept. */
import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { Digest } from '../action/json.js';
import type { ActionView } from '../action/outcome.js';
import { proposalDigest, type Proposal } from '../action/proposal.js';
import { workflowUrl } from '../presentation/workflow-url.js';
import { emptyView, type ActionRecord } from './action-record.js';
import { describeWorkflow, findAction, type ActionKey, type ActionSources, type FoundAction } from './find.js';
import { proposedRequest, type ProposedRequest } from './proposed-request.js';

export interface RecordSources extends ActionSources {
  /** Redacts a proposal that only Temporal has: there its values are as they came. Default: not. */
  readonly redact?: ((proposal: Proposal) => Promise<Proposal>) | undefined;
  /** Where the Temporal UI is. Absent: the record has no link to it. */
  readonly temporalUi?: { readonly uiUrl: string; readonly namespace: string } | undefined;
}

/** Stands for a digest that cannot be read: no text has it. */
const UNREADABLE: Digest = `sha256:${'0'.repeat(64)}`;

/**
 * The record always has a view: where no worker answers, and where the workflow was ended from outside, it says no more than the phase,
 * and a warning says why.
 *
 * @throws CountersignError NOT_FOUND, LEDGER_UNAVAILABLE, TEMPORAL_UNAVAILABLE
 */
export async function readAction(sources: RecordSources, name: ActionKey): Promise<ActionRecord> {
  const found = await findAction(sources, name);
  const { archived } = found;
  // What the ledger says can be shown without Temporal.
  const workflow = found.workflow ?? (await describeWorkflow(sources, name).catch(() => undefined));
  const request = await requestOf(sources, workflow);
  const fits = archived === undefined || request === undefined || request.digest === archived.proposalDigest;
  const asCame = request && ((await sources.redact?.(request.proposal)) ?? request.proposal);
  const proposal =
    archived?.approvalRequest?.shown.proposal ??
    (archived?.outcome?.redacted === undefined && fits ? asCame : undefined) ??
    archived?.proposal;
  const proposedAt = archived?.proposedAt ?? workflow?.startTime.toISOString();
  const endedAt = archived?.endedAt ?? workflow?.closeTime?.toISOString();
  const missing = whyNoView(found, workflow);
  const view = missing === undefined ? found.view : undefined;
  return {
    view: view ?? placeholder(found, workflow, request),
    ...(proposal === undefined ? {} : { proposal }),
    ...(proposedAt === undefined ? {} : { proposedAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    keptBy: workflow === undefined ? 'ledger' : 'temporal',
    ...(workflow === undefined || sources.temporalUi === undefined
      ? {}
      : { url: workflowUrl(sources.temporalUi, name) }),
    warnings: [...misfits(view, request), ...(missing === undefined ? [] : [missing])],
    ...(archived === undefined ? {} : { archived }),
  };
}

async function requestOf(
  { countersign }: ActionSources,
  workflow: WorkflowExecutionDescription | undefined,
): Promise<ProposedRequest | undefined> {
  if (countersign === undefined || workflow === undefined) return undefined;
  return proposedRequest(countersign.temporal, workflow).catch(() => undefined);
}

/** Undefined where what was found says how the action stands. */
function whyNoView(
  { view, archived }: FoundAction,
  workflow: WorkflowExecutionDescription | undefined,
): string | undefined {
  const status = workflow?.status.name;
  if (view?.outcome === undefined && status !== undefined && status !== 'RUNNING' && status !== 'COMPLETED') {
    return `Its workflow ended as ${status} and left no outcome: somebody ended it in Temporal. Whether its effect happened, the system itself must be asked.`;
  }
  if (view !== undefined) return undefined;
  if (workflow !== undefined) return 'No worker answers, so how far the action has come is not known at this moment.';
  return archived === undefined
    ? undefined
    : 'The ledger has this action as open, and Temporal does not know it: it runs on another Temporal server, or its workflow was deleted.';
}

function placeholder(
  { tenant, actionId, archived }: FoundAction,
  workflow: WorkflowExecutionDescription | undefined,
  request: ProposedRequest | undefined,
): ActionView {
  const ended = workflow !== undefined && workflow.status.name !== 'RUNNING';
  return emptyView(
    {
      tenant,
      actionId,
      proposalDigest: archived?.proposalDigest ?? request?.digest ?? UNREADABLE,
      tool: archived?.tool ?? request?.proposal.tool ?? '(unreadable)',
    },
    ended ? 'ended' : 'preparing',
  );
}

/** History can be written by others than workers: what does not belong together is said. */
function misfits(view: ActionView | undefined, request: ProposedRequest | undefined): string[] {
  if (request === undefined || (view?.outcome === undefined && view?.pending === undefined)) return [];
  if (proposalDigest(request.proposal) === view.proposalDigest) return [];
  return ['The proposal in the history is not the one that this outcome is of: its digest differs.'];
}
