/** Asks a worker what would become of a proposal. */
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { DryRunRequest } from '../../activities/contract.js';
import type { DryRun } from '../action/dry-run.js';
import { CountersignError } from '../action/errors.js';
import type { TemporalSettings } from '../environment.js';
import { MAX_SUMMARY, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';

/** Nobody waits for longer, and no worker that comes later needs to answer. */
const ANSWERED_WITHIN = '2 minutes';

type DryRunWorkflow = (request: DryRunRequest) => Promise<DryRun>;

/** No search attributes: it is no action, and in no list of them. */
export async function dryRun(
  temporal: Client,
  { taskQueue }: TemporalSettings,
  tenant: string,
  request: DryRunRequest,
): Promise<DryRun> {
  try {
    return await temporal.workflow.execute<DryRunWorkflow>('dryRun', {
      workflowId: `dry/${tenant}/${randomUUID()}`,
      taskQueue,
      args: [request],
      workflowExecutionTimeout: ANSWERED_WITHIN,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      staticSummary: `dry run: ${request.proposal.tool}`.slice(0, MAX_SUMMARY),
    });
  } catch (error) {
    if (!(error instanceof WorkflowFailedError) || error.cause instanceof ApplicationFailure) throw error;
    throw new CountersignError('TIMED_OUT', 'No worker answered the dry run in time. Nothing was done.', {
      fix: 'Ask again. If it stays so, check that a worker runs: countersign doctor',
      retryable: true,
      cause: error,
    });
  }
}
