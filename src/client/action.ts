/** The workflow of one action: how it is found, and how it is started or joined. */
import { WithStartWorkflowOperation, type Client, type WorkflowHandle } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { ActionRequest } from '../../activities/contract.js';
import type { Digest } from '../action/json.js';
import { signedProposalDigest, wordsOf, type Proposal } from '../action/proposal.js';
import type { Outcome, OutcomeReply } from '../action/outcome.js';
import type { TemporalSettings } from '../environment.js';
import { actionAttributes, MAX_SUMMARY, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import { outcomeUpdate, restateUpdate } from '../../workflows/messages.js';
import { hasEnded } from './failures.js';
import { describeInput, quoteReasoning } from './workflow-text.js';

/** The same call gets the reply that was recorded for the first one. */
function updateId(digest: Digest): string {
  return digest.slice('sha256:'.length, 32 + 'sha256:'.length);
}

export type TrustedAction = (request: ActionRequest) => Promise<Outcome>;

export function actionHandle(temporal: Client, tenant: string, actionId: string): WorkflowHandle<TrustedAction> {
  return temporal.workflow.getHandle<TrustedAction>(`${tenant}/${actionId}`);
}

/**
 * Starts the action unless it is there, and waits until it has ended or needs people.
 *
 * @param agent as it says itself
 * @param since the run that was ended from outside. What it answered before does not count any more.
 */
export async function startAction(
  temporal: Client,
  { taskQueue }: TemporalSettings,
  agent: { readonly tenant: string; readonly id: string },
  request: ActionRequest,
  since?: string,
): Promise<OutcomeReply> {
  const { proposal, digest } = request;
  const handle = actionHandle(temporal, agent.tenant, proposal.actionId);
  const operation = new WithStartWorkflowOperation<TrustedAction>('trustedAction', {
    workflowId: handle.workflowId,
    taskQueue,
    args: [request],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    // One that was ended from outside has no outcome of its own: it is taken up again, from what the ledger knows of it.
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    staticSummary: `${proposal.tool}: ${describeInput(proposal)}`.slice(0, MAX_SUMMARY),
    ...(proposal.reasoning === undefined ? {} : { staticDetails: quoteReasoning(proposal.reasoning) }),
    typedSearchAttributes: actionAttributes(agent.tenant, proposal.tool, agent.id),
  });
  // Whoever waits for the operation itself hears of its failure through the update.
  operation.workflowHandle().catch(() => {});
  try {
    return await temporal.workflow.executeUpdateWithStart<TrustedAction, OutcomeReply, [Digest]>(outcomeUpdate, {
      args: [digest],
      updateId: since === undefined ? updateId(digest) : `${updateId(digest)}-${since}`,
      startWorkflowOperation: operation,
    });
  } catch (error) {
    // The action has ended (and this is not the call whose reply was recorded), or ended while it was asked.
    if (hasEnded(error)) return { kind: 'outcome', outcome: await handle.result() };
    throw error;
  }
}

/**
 * Has the action's history keep what the agent says this time, where it differs from what people are shown. It is for the record only, so
 * a call is not failed for it: an action that ends just now, or has kept enough, keeps no more.
 */
export async function restate(
  handle: WorkflowHandle<TrustedAction>,
  { proposal, signature }: Pick<ActionRequest, 'proposal' | 'signature'>,
  shown: Proposal,
): Promise<void> {
  const said = signedProposalDigest(proposal);
  if (said === signedProposalDigest(shown)) return;
  const restatement = { words: wordsOf(proposal), signature };
  await handle.executeUpdate(restateUpdate, { args: [restatement], updateId: updateId(said) }).catch(() => {});
}
