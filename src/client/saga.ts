/** Sagas from agent code: several actions that succeed together or are undone in reverse order. */
import { WithStartWorkflowOperation, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { TypedSearchAttributes, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { ActionRequest, CommandResult, SagaRequest } from '../../activities/contract.js';
import { sagaConflict } from '../action/errors-conflict.js';
import { CountersignError } from '../action/errors.js';
import { digestText, withoutUndefined, type Digest } from '../action/json.js';
import {
  ACTION_ID_PATTERN,
  parseProposal,
  proposalDigest,
  signedProposalDigest,
  type Proposal,
} from '../action/proposal.js';
import {
  MAX_SAGA_BYTES,
  MAX_SAGA_STEPS,
  sagaDigest,
  type CompensationView,
  type SagaManifest,
  type SagaStatus,
  type SagaView,
} from '../action/saga.js';
import { compensationWorkflowId } from '../action/compensation-ids.js';
import { isProposedUnder } from '../action/principal.js';
import type { TemporalSettings } from '../environment.js';
import { ATTRIBUTES, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import { invalid, proposalsOf, type Signer } from './proposals.js';
import { hasEnded } from './failures.js';
import { compensationQuery, recoverUpdate, sagaQuery, sagaUpdate } from '../../workflows/messages.js';

/** A saga as agent code writes it. */
export interface SagaInput {
  /** Names the saga, within its tenant: repeating it with the same steps returns what became of it. 1 to 128 of `A-Z a-z 0-9 . _ : -`. */
  readonly traceId: string;
  /**
   * 1 to 20 proposals, in order. None may use what another returns. An `actionId` that is left out is `<traceId>:<n>`; `traceId` is the
   * saga's, and `onMismatch` is for the saga to decide.
   */
  readonly steps: readonly (Omit<Proposal, 'actionId' | 'traceId' | 'onMismatch'> & {
    /** Your idempotency key of this step. Default: made of the saga's `traceId` and the step's number, the same each time. */
    readonly actionId?: string;
  })[];
}

/** How a saga ended; or that it needs a person first, and what for. */
export type SagaResult =
  | (SagaView & { readonly status: SagaStatus })
  | (SagaView & {
      readonly status: 'needs_person';
      /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
      outcome(options?: { timeoutMs?: number }): Promise<SagaView>;
    });

type SagaWorkflow = (request: SagaRequest) => Promise<SagaView>;
type CompensationWorkflow = () => Promise<CompensationView>;

export function sagaId(tenant: string, traceId: string): string {
  return `saga/${tenant}/${traceId}`;
}

/**
 * Signs every step, and that they belong together, before the first is begun.
 *
 * @throws CountersignError INVALID_PROPOSAL and its kin, INPUT_TOO_LARGE
 */
export async function signSaga(sign: Signer, { traceId, steps }: SagaInput): Promise<SagaRequest> {
  if (!ACTION_ID_PATTERN.test(traceId)) throw invalid('saga.traceId', '1 to 128 of A-Z a-z 0-9 . _ : -');
  const limits = { field: 'saga.steps', most: MAX_SAGA_STEPS, mostBytes: MAX_SAGA_BYTES };
  const proposals = proposalsOf(steps, limits, (step, index) => stepOf(step, index, traceId));
  const requests = await Promise.all(
    proposals.map(async (proposal): Promise<ActionRequest> => {
      const signature = await sign(signedProposalDigest(proposal));
      return { proposal, digest: proposalDigest(proposal), signature };
    }),
  );
  const manifest: SagaManifest = {
    traceId,
    steps: requests.map(({ proposal: { actionId }, digest }) => ({ actionId, digest })),
  };
  const digest = sagaDigest(manifest);
  return { traceId, steps: requests, digest, signature: await sign(digest) };
}

function stepOf(step: SagaInput['steps'][number] & Partial<Proposal>, index: number, traceId: string): Proposal {
  const field = `saga.steps[${index}]`;
  if (step.onMismatch !== undefined)
    throw invalid(`${field}.onMismatch`, 'absent: a saga undoes a step that is not as promised');
  if (step.traceId !== undefined && step.traceId !== traceId)
    throw invalid(`${field}.traceId`, `absent, or ${traceId}`);
  const actionId = step.actionId ?? ownId(traceId, index);
  return parseProposal(withoutUndefined({ ...step, actionId, traceId }));
}

/** Deterministic, so that the same saga proposed again is the same actions. */
function ownId(traceId: string, index: number): string {
  const id = `${traceId}:${index + 1}`;
  return id.length <= 128 ? id : `saga-${digestText(traceId).slice('sha256:'.length)}:${index + 1}`;
}

/** Starts the saga unless it is there, and waits until it has ended or needs a person. */
export async function startSaga(
  temporal: Client,
  { taskQueue }: TemporalSettings,
  { tenant, id: agent }: { readonly tenant: string; readonly id: string },
  request: SagaRequest,
): Promise<SagaView> {
  const workflowId = sagaId(tenant, request.traceId);
  const operation = new WithStartWorkflowOperation<SagaWorkflow>('saga', {
    workflowId,
    taskQueue,
    args: [{ ...request, agent }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    // One that was ended from outside is taken up again: every step and every undoing finds out first what happened.
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    staticSummary: `saga of ${request.steps.length} steps`,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: ATTRIBUTES.tenant, value: tenant },
      // As the agent says itself: each of the steps is signed.
      { key: ATTRIBUTES.agent, value: agent },
      { key: ATTRIBUTES.status, value: 'running' },
    ]),
  });
  // Whoever waits for the operation itself hears of its failure through the update.
  operation.workflowHandle().catch(() => {});
  try {
    return await temporal.workflow.executeUpdateWithStart<SagaWorkflow, SagaView, [Digest, string | undefined]>(
      sagaUpdate,
      {
        args: [request.digest, agent],
        startWorkflowOperation: operation,
      },
    );
  } catch (error) {
    if (!hasEnded(error)) throw error;
  }
  // One that has ended refuses nothing: whose it is, is looked up.
  const view = await temporal.workflow.getHandle<SagaWorkflow>(workflowId).result();
  const by = await sagaAgent(temporal, tenant, request.traceId);
  if (view.digest === request.digest && (by === undefined || isProposedUnder(agent, by))) return view;
  const { code, message, ...details } = sagaConflict(request.traceId);
  throw new CountersignError(code, message, details);
}

export function isOver(view: SagaView): view is SagaView & { readonly status: SagaStatus } {
  return view.status === 'success' || view.status === 'compensated' || view.status === 'compensation_failed';
}

/** The end of a saga, however long it takes. */
export function sagaOutcome(temporal: Client, tenant: string, traceId: string): Promise<SagaView> {
  return temporal.workflow.getHandle<SagaWorkflow>(sagaId(tenant, traceId)).result();
}

/** Who proposed it, as they said themselves. Undefined where Temporal does not know the saga, or no longer. */
export async function sagaAgent(temporal: Client, tenant: string, traceId: string): Promise<string | undefined> {
  try {
    const { typedSearchAttributes } = await temporal.workflow.getHandle(sagaId(tenant, traceId)).describe();
    return typedSearchAttributes.get(ATTRIBUTES.agent);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

export function sagaView(temporal: Client, tenant: string, traceId: string): Promise<SagaView> {
  return temporal.workflow.getHandle(sagaId(tenant, traceId)).query(sagaQuery);
}

/** How the undoing of an action stands. */
export function compensationView(temporal: Client, tenant: string, cause: string): Promise<CompensationView> {
  return temporal.workflow
    .getHandle<CompensationWorkflow>(compensationWorkflowId(tenant, cause))
    .query(compensationQuery);
}

/** Tells the undoing of an action what a person signed. */
export function recover(temporal: Client, tenant: string, cause: string, command: string): Promise<CommandResult> {
  return temporal.workflow
    .getHandle<CompensationWorkflow>(compensationWorkflowId(tenant, cause))
    .executeUpdate(recoverUpdate, { args: [command] });
}
