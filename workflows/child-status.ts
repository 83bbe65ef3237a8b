/** What a workflow tells the one that started it. An action that nobody started as a child tells nothing, and pays nothing. */
import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { childStatusSignal, type ChildStatus } from './messages.js';

export async function reportToParent(status: ChildStatus): Promise<void> {
  const { parent } = workflowInfo();
  if (parent === undefined) return;
  try {
    await getExternalWorkflowHandle(parent.workflowId, parent.runId).signal(childStatusSignal, status);
  } catch {
    // The parent has ended: nobody is there to be told.
  }
}
