/** Actions and undoings as children of a workflow: begun once, joined where somebody else began them, and never ended with it. */
import {
  type CancellationScope,
  executeChild,
  ParentClosePolicy,
  sleep,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ActionRequest, CompensationRequest, ActionState } from '../activities/contract.js';
import type { ErrorView } from '../src/action/errors.js';
import { actionConflict } from '../src/action/errors-conflict.js';
import { proposerOf, type Outcome } from '../src/action/outcome.js';
import type { CompensationView } from '../src/action/saga.js';
import { actionAttributes, MAX_SUMMARY, WORKFLOW_TASK_TIMEOUT } from '../src/temporal.js';
import type { Awaited, resolution } from './resolution.js';

/** The workflows that are begun here, as their own files export them: naming their files would be a cycle. */
type TrustedAction = (request: ActionRequest) => Promise<Outcome>;
type Compensation = (request: CompensationRequest) => Promise<CompensationView>;

/** How often an action is begun anew that leaves no record. */
const MAX_LOST = 2;

/** Before a child is begun again whose workflow was ended from outside. Milliseconds. */
const AGAIN = { first: 1_000, longest: 5 * 60_000 } as const;

/** Where and how an action is run as a child. */
export interface RunOptions {
  /** The scope whose cancellation is passed on to the action, as a request that it answers with the truth. */
  readonly cancellable?: CancellationScope;
  /** Where Countersign's workers poll. Default: the task queue of the workflow that asks. */
  readonly taskQueue?: string;
  /** Waits for an action that is not to be had as a child. Default: `settled`. */
  readonly wait?: (awaited: Awaited) => Promise<ActionState>;
  /** Whether what this agent proposed under the id is what was asked for. Default: whoever proposed it. */
  readonly isOwn?: (proposer: string) => boolean;
}

/**
 * Runs an action to its outcome. A workflow of the action that is there already is waited for, and one that was ended from outside is begun
 * anew: it finds out first what happened. Another proposal under the id, or another agent's, is a conflict.
 */
export async function runAction(
  tenant: string,
  request: ActionRequest,
  { cancellable, taskQueue, wait = settled, isOwn = () => true }: RunOptions = {},
): Promise<Outcome> {
  const { actionId } = request.proposal;
  const own = (outcome: Outcome): Outcome => ofRequest(outcome, tenant, request, isOwn);
  let asked = request;
  let lost = 0;
  for (let pause: number = AGAIN.first; ; pause = Math.min(pause * 2, AGAIN.longest)) {
    let standing: ActionState;
    try {
      const run = (): Promise<Outcome> =>
        executeChild<TrustedAction>('trustedAction', { ...actionOptions(tenant, asked), ...placed(taskQueue) });
      return own(await (cancellable === undefined || asked.cancelled === true ? run() : cancellable.run(run)));
    } catch {
      standing = await wait({ tenant, actionId, resolved: false });
    }
    if (standing.kind === 'ended') return own(standing.outcome);
    // Never begun, because the cancellation came first: that is put on record. Or it was refused without a record.
    if (cancellable?.consideredCancelled === true && asked.cancelled !== true) asked = { ...request, cancelled: true };
    // One that the ledger knows may have had an effect: it is begun anew until there is a record of it, or the schedule has made one.
    else if (standing.kind === 'lost' && standing.admitted === true) lost = 0;
    else if (++lost > MAX_LOST) return refused(tenant, request, lostError(actionId));
    await sleep(pause);
  }
}

/**
 * Begins an action that goes on without the workflow that began it. One that is there already stays as it is.
 *
 * @param agent who proposes it, as they say themselves
 */
export async function startAction(tenant: string, request: ActionRequest, agent?: string): Promise<void> {
  try {
    await startChild<TrustedAction>('trustedAction', actionOptions(tenant, request, agent));
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

function actionOptions(tenant: string, request: ActionRequest, agent?: string) {
  const { actionId, tool, reasoning } = request.proposal;
  return {
    workflowId: `${tenant}/${actionId}`,
    args: [request] as [ActionRequest],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    typedSearchAttributes: actionAttributes(tenant, tool, agent),
    staticSummary: `${tool}: ${reasoning?.startsWith('Undoes ') === true ? reasoning : actionId}`.slice(0, MAX_SUMMARY),
  };
}

function placed(taskQueue: string | undefined): { readonly taskQueue?: string } {
  return taskQueue === undefined ? {} : { taskQueue };
}

/**
 * Waits in a child of its own, so that a long wait does not fill this history.
 *
 * @param taskQueue where Countersign's workers poll; default: that of this workflow
 * @param nth tells waits for the same action apart, where a workflow may have several at once
 */
export function settled(
  awaited: Awaited,
  { taskQueue, nth }: { readonly taskQueue?: string; readonly nth?: string } = {},
): Promise<ActionState> {
  return executeChild<typeof resolution>('resolution', {
    workflowId: `${workflowInfo().workflowId}/waits/${awaited.actionId}${nth === undefined ? '' : `/${nth}`}`,
    args: [awaited],
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    ...placed(taskQueue),
  });
}

/** How an action that ended as `unknown` stands when a person has resolved it. */
export async function resolved(outcome: Outcome): Promise<Outcome> {
  const { tenant, actionId } = outcome;
  const standing = await settled({ tenant, actionId, resolved: true });
  return standing.kind === 'ended' ? standing.outcome : outcome;
}

/** Undefined when somebody else began it and it is not over. */
export async function startCompensation(
  request: CompensationRequest,
): Promise<ChildWorkflowHandle<Compensation> | undefined> {
  const { tenant, proposal } = request;
  try {
    return await startChild<Compensation>('compensation', {
      workflowId: `undo/${tenant}/${proposal.actionId}`,
      args: [request],
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      typedSearchAttributes: actionAttributes(tenant, proposal.tool),
      staticSummary: `undo ${proposal.actionId}`.slice(0, MAX_SUMMARY),
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

/** Until it is over, also when it was begun by somebody else or ended from outside: undoing what is undone finds that out. */
export async function runCompensation(request: CompensationRequest): Promise<CompensationView> {
  for (let pause: number = AGAIN.first; ; pause = Math.min(pause * 2, AGAIN.longest)) {
    const undoing = await startCompensation(request);
    try {
      if (undoing !== undefined) return await undoing.result();
    } catch {
      // Ended from outside.
    }
    await sleep(pause);
  }
}

/** What another agent's action came to is not told: it need not even be known that there is one. */
function ofRequest(
  outcome: Outcome,
  tenant: string,
  request: ActionRequest,
  isOwn: (proposer: string) => boolean,
): Outcome {
  const proposer = proposerOf(outcome);
  const isOthers = proposer !== undefined && !isOwn(proposer);
  if (outcome.proposalDigest === request.digest && !isOthers) return outcome;
  return refused(tenant, request, actionConflict(request.proposal.actionId));
}

function lostError(actionId: string): ErrorView {
  return { code: 'ACTION_CONFLICT', message: `Action ${actionId} was refused before, or ended without a record.` };
}

function refused(tenant: string, { proposal, digest }: ActionRequest, error: ErrorView): Outcome {
  const { actionId, tool } = proposal;
  const { message: reason } = error;
  return {
    status: 'denied',
    reason,
    error,
    tenant,
    actionId,
    proposalDigest: digest,
    tool,
    approvals: [],
    checks: [],
    steps: {},
  };
}
