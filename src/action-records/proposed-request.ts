/** What was proposed, as it came in. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Digest } from '../action/json.js';
import type { Proposal } from '../action/proposal.js';
import { decoderOf } from '../client/payloads.js';

export interface ProposedRequest {
  readonly proposal: Proposal;
  readonly digest: Digest;
}

/** The proposal as it came in, from the first event of the history. */
export async function proposedRequest(
  temporal: Client,
  { workflowId, runId }: WorkflowExecutionDescription,
): Promise<ProposedRequest | undefined> {
  const { history } = await temporal.workflowService.getWorkflowExecutionHistory({
    namespace: temporal.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const [request] = (await decoderOf(temporal)(payloads.slice(0, 1))) as [Partial<ProposedRequest> | null | undefined];
  return request?.proposal === undefined || request.digest === undefined ? undefined : (request as ProposedRequest);
}
