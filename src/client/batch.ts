/** Batches from agent code: several proposals of which none is begun unless policy and limits let all of them begin. */
import type { Client } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { BatchedRequest, BatchRequest } from '../../activities/contract.js';
import { MAX_BATCH, MAX_BATCH_BYTES, type BatchDecision, type NotBegun } from '../action/batch.js';
import { dryRunDigest } from '../action/dry-run.js';
import type { ErrorView } from '../action/errors.js';
import { digest } from '../action/json.js';
import type { Outcome } from '../action/outcome.js';
import { parseProposal, proposalDigest, signedProposalDigest, type Proposal } from '../action/proposal.js';
import type { TemporalSettings } from '../environment.js';
import { WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import type { PendingAction } from './pending-action.js';
import { proposalsOf, type Signer } from './proposals.js';

/** What became of a batch: of each of its actions, in the order of the proposals. */
export interface BatchAnswer {
  /** False: none was begun that was not begun before. */
  readonly begun: boolean;
  readonly actions: readonly BatchedAction[];
}

/** What became of one action of a batch. Its `status` tells which of these it is. */
export type BatchedAction = Outcome | PendingAction | ActionUnderWay | NotBegun;

/** An action that goes on, or of which it is not known how it stands. Ask for its outcome, or propose the batch again: that is safe. */
export interface ActionUnderWay {
  readonly status: 'open';
  readonly actionId: string;
  /** Why there is no outcome yet. */
  readonly error: ErrorView;
}

type BatchWorkflow = (request: BatchRequest) => Promise<BatchDecision>;

/** @throws CountersignError INVALID_PROPOSAL and its kin, INPUT_TOO_LARGE */
export function batchOf(given: readonly object[]): readonly Proposal[] {
  const bounds = { field: 'proposals', most: MAX_BATCH, mostBytes: MAX_BATCH_BYTES };
  return proposalsOf(given, bounds, (one) => parseProposal(one));
}

/** Signs each proposal twice: as it is tried, and as it is begun. */
export async function signBatch(sign: Signer, proposals: readonly Proposal[]): Promise<readonly BatchedRequest[]> {
  return await Promise.all(
    proposals.map(async (proposal) => {
      const [dryRunSignature, signature] = await Promise.all([
        sign(dryRunDigest(proposal)),
        sign(signedProposalDigest(proposal)),
      ]);
      return { action: { proposal, digest: proposalDigest(proposal), signature }, dryRunSignature };
    }),
  );
}

/** Has the batch decided, and begun where all of it would be. The same batch of the same agent that is under way is joined. */
export async function decideBatch(
  temporal: Client,
  { taskQueue }: Pick<TemporalSettings, 'taskQueue'>,
  tenant: string,
  request: BatchRequest,
): Promise<BatchDecision> {
  const { agent, actions } = request;
  const named = digest([agent, ...actions.map(({ action: { proposal, digest } }) => [proposal.actionId, digest])]);
  return await temporal.workflow.execute<BatchWorkflow>('batch', {
    workflowId: `batch/${tenant}/${named.slice('sha256:'.length)}`,
    taskQueue,
    args: [request],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    // What was begun is found out each time: what could not begin then may begin now.
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    staticSummary: `batch of ${actions.length} proposals`,
  });
}
