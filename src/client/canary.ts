/** Sends a canary: starts its workflow, and waits until people are shown it. */
import { WithStartWorkflowOperation, type Client } from '@temporalio/client';
import { TypedSearchAttributes, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { CanaryTicket, CommandResult } from '../../activities/contract.js';
import { CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import type { TemporalSettings } from '../environment.js';
import { ATTRIBUTES, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import { canarySentUpdate } from '../../workflows/messages.js';
import { hasEnded } from './failures.js';

type CanaryWorkflow = (ticket: CanaryTicket) => Promise<Outcome>;

export async function sendCanary(
  temporal: Client,
  { taskQueue }: Pick<TemporalSettings, 'taskQueue'>,
  { tenant, actionId, command }: { readonly tenant: string; readonly actionId: string; readonly command: string },
): Promise<CommandResult> {
  const operation = new WithStartWorkflowOperation<CanaryWorkflow>('canary', {
    workflowId: `${tenant}/${actionId}`,
    taskQueue,
    args: [{ command }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
    workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: ATTRIBUTES.tenant, value: tenant },
      { key: ATTRIBUTES.status, value: 'running' },
    ]),
  });
  // Whoever waits for the operation itself hears of its failure through the update.
  operation.workflowHandle().catch(() => {});
  try {
    return await temporal.workflow.executeUpdateWithStart<CanaryWorkflow, CommandResult, []>(canarySentUpdate, {
      startWorkflowOperation: operation,
    });
  } catch (error) {
    if (!hasEnded(error)) throw error;
    throw new CountersignError(
      'COMMAND_INVALID',
      `Something else has the id ${actionId}, or this was handed in before.`,
      {
        field: 'command.subject',
        expected: 'an id that was never used',
        fix: 'Sign a new one, with another id.',
        cause: error,
      },
    );
  }
}
