/** `proxyTrustedActions`: a workflow of one's own proposes, and each action is a child workflow of it. */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  proxyLocalActivities,
  uuid4,
} from '@temporalio/workflow';
import type { ActionRequest, ActionState } from '../../activities/contract.js';
import { runAction, settled } from '../../workflows/children.js';
import { errorView, refusal, refuse } from '../../workflows/failures.js';
import type { ErrorCode } from '../action/errors.js';
import type { Json } from '../action/json.js';
import type { Outcome, OutcomeStatus } from '../action/outcome.js';
import { isProposedUnder } from '../action/principal.js';
import type { Proposal } from '../action/proposal.js';
import type { WaitsFor } from '../action/saga.js';
import { toldOfError, toldOfOutcome } from '../action/told.js';
import type { Proof, ProofActivities, ProofRequest, UnnamedProposal } from './proof.js';
import { asCall, waiting } from './waiting.js';

/** As whom a workflow proposes, and to whose workers. */
export interface TrustedActionsOptions {
  /** Who proposes: the name under which `CountersignPlugin` of this workflow's worker holds the agent's credential. */
  readonly agent: string;
  /** Where Countersign's workers poll, in this workflow's namespace. Default `countersign`. */
  readonly taskQueue?: string;
}

/** What the arguments of a tool call come to. */
export type ToolProposal = Omit<Proposal, 'actionId'>;

/** JSON for the model. */
export interface ModelAnswer {
  /** The outcome's; `refused`: it could not be proposed like this. */
  readonly status: OutcomeStatus | 'refused';
  /** Absent where it was refused: then there is no action. */
  readonly actionId?: string;
  /** What came of it, what can be done about it, and what not to try. */
  readonly message: string;
  /** What the tool returned. */
  readonly result?: Json;
}

/** What a workflow proposes with. */
export interface TrustedActions {
  /**
   * Proposes an action and waits for its outcome, however long people take. The same proposal under the same `actionId` gets the same
   * outcome, whichever run or workflow asks, and has one effect.
   *
   * A refusal is an outcome (`denied`), and so is what a cancellation comes to: the workflow's cancellation is passed on to the action, which
   * answers with the truth.
   *
   * @throws ApplicationFailure INVALID_PROPOSAL and its kin, ACTION_CONFLICT, KEYS_MISSING, each as its `type` and with the error view as
   *   its first detail
   * @throws CancelledFailure when the workflow was cancelled before the proposal was signed: nothing was proposed
   */
  perform(proposal: Proposal): Promise<Outcome>;
  /**
   * Waits for the end of an action that somebody proposed, such as the one that a person made of another (`revisedBy`).
   *
   * @param options `resolved`: where the outcome is `unknown`, waits until a person has said what happened
   * @throws ApplicationFailure NOT_FOUND when no workflow is at it and nothing is recorded
   */
  outcome(action: Pick<Outcome, 'tenant' | 'actionId'>, options?: { readonly resolved?: boolean }): Promise<Outcome>;
  /**
   * Makes the function of an agent's tool: it proposes what `propose` makes of the arguments, waits for the outcome, and answers what the model
   * is to be told. The action's id follows from the workflow's id, the call's and what would be done: a call that is sent twice, or made again
   * by the next run, is the same action. What the model can do nothing about is thrown.
   */
  asTool<Args>(
    propose: (args: Args) => ToolProposal | Promise<ToolProposal>,
  ): (args: Args, call: { readonly toolCallId: string }) => Promise<ModelAnswer>;
  /** Which actions that this run of the workflow began wait for people, and why. To be shown: nothing should depend on it. */
  waiting(): readonly WaitsFor[];
}

/** Safe to call anywhere in workflow code, also where modules are loaded. */
export function proxyTrustedActions({ agent, taskQueue = 'countersign' }: TrustedActionsOptions): TrustedActions {
  const perform = (proposal: UnnamedProposal, toolCallId?: string): Promise<Outcome> =>
    proposeAndWait(taskQueue, { agent, proposal, ...(toolCallId === undefined ? {} : { toolCallId }) });
  return {
    perform,
    outcome: (action, options = {}) => endOf(taskQueue, action, options.resolved === true),
    asTool:
      (propose) =>
      async (args, { toolCallId }) => {
        try {
          return answerOf(await perform(await propose(args), toolCallId));
        } catch (failure) {
          return refusedAnswer(failure);
        }
      },
    waiting,
  };
}

/** In this worker, which holds the agent's key: one event in history, and no secret in it. */
const { countersignProof } = proxyLocalActivities<ProofActivities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '100ms', maximumAttempts: 3 },
});

async function proposeAndWait(taskQueue: string, request: ProofRequest): Promise<Outcome> {
  const cancellable = CancellationScope.current();
  const { tenant, proposer, digest, signature, ...named } = await proven(request);
  const signed: ActionRequest = { proposal: { ...request.proposal, ...named }, digest, signature };
  const outcome = await asCall(named.actionId, () =>
    CancellationScope.nonCancellable(() =>
      runAction(tenant, signed, {
        cancellable,
        taskQueue,
        wait: (awaited) => joined(taskQueue, awaited, cancellable),
        isOwn: (one) => proposer === undefined || isProposedUnder(proposer, one),
      }),
    ),
  );
  const { error } = outcome;
  if (error?.code === 'ACTION_CONFLICT') throw refusal(error);
  return outcome;
}

async function proven(request: ProofRequest): Promise<Proof> {
  try {
    return await countersignProof(request);
  } catch (failure) {
    if (isCancellation(failure)) throw failure;
    throw refusal(errorView(failure));
  }
}

interface Action {
  readonly tenant: string;
  readonly actionId: string;
  readonly resolved: boolean;
}

/** Waits for an action that somebody else began, such as the run before this one: it hears of the cancellation all the same. */
async function joined(taskQueue: string, awaited: Action, cancellable: CancellationScope): Promise<ActionState> {
  let over = false;
  const passOn = async (): Promise<void> => {
    if (over) return;
    await getExternalWorkflowHandle(`${awaited.tenant}/${awaited.actionId}`)
      .cancel()
      // It has ended.
      .catch(() => {});
  };
  cancellable.cancelRequested.catch(passOn);
  try {
    return await settled(awaited, { taskQueue, nth: uuid4() });
  } finally {
    over = true;
  }
}

async function endOf(
  taskQueue: string,
  { tenant, actionId }: Pick<Outcome, 'tenant' | 'actionId'>,
  resolved: boolean,
): Promise<Outcome> {
  const standing = await settled({ tenant, actionId, resolved }, { taskQueue, nth: uuid4() });
  if (standing.kind === 'ended') return standing.outcome;
  throw refuse('NOT_FOUND', `No workflow is at action ${actionId}, and nothing is recorded of it.`);
}

function answerOf(outcome: Outcome): ModelAnswer {
  const { status, actionId, result } = outcome;
  return { status, actionId, message: toldOfOutcome(outcome), ...(result === undefined ? {} : { result }) };
}

/** What a model can correct itself. */
const CORRECTABLE: ReadonlySet<ErrorCode> = new Set([
  'INVALID_PROPOSAL',
  'INVALID_TEXT',
  'INVALID_NUMBER',
  'INVALID_JSON',
  'INPUT_TOO_LARGE',
  'ACTION_CONFLICT',
]);

function refusedAnswer(failure: unknown): ModelAnswer {
  const error = errorView(failure);
  if (!CORRECTABLE.has(error.code)) throw failure;
  return { status: 'refused', message: `Nothing was done. ${toldOfError(error)}` };
}
