/** Canaries are sent by themselves, at times that an activity draws. Started by a schedule. */
import { ParentClosePolicy, startChild, WorkflowIdReusePolicy } from '@temporalio/workflow';
import { TypedSearchAttributes } from '@temporalio/common';
import { ATTRIBUTES, WORKFLOW_TASK_TIMEOUT } from '../src/temporal.js';
import type { canary } from './canary.js';
import { canaries } from './steps.js';

/** Returns how many were sent. */
export async function canaryRound(): Promise<number> {
  const due = await canaries.drawCanaries();
  for (const { tenant, actionId, ticket } of due) {
    await startChild<typeof canary>('canary', {
      workflowId: `${tenant}/${actionId}`,
      args: [ticket],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: ATTRIBUTES.tenant, value: tenant },
        { key: ATTRIBUTES.status, value: 'running' },
      ]),
    });
  }
  return due.length;
}
