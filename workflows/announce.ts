/** Begins to tell people of an action, beside it: the action neither waits for that nor fails with it. */
import { CancellationScope, log, ParentClosePolicy, startChild, WorkflowIdReusePolicy } from '@temporalio/workflow';
import { TypedSearchAttributes } from '@temporalio/common';
import type { Announcement } from '../src/notify/notice.js';
import { ATTRIBUTES, MAX_SUMMARY, WORKFLOW_TASK_TIMEOUT } from '../src/temporal.js';
import type { notification } from './notification.js';

/**
 * Never rejects. Settles when the telling has begun, or cannot: not to be awaited on the way, but before the workflow returns, because
 * Temporal does not start an abandoned child whose parent closed first.
 *
 * What was announced before under the same id (by an earlier run of the action) is not announced again, unless that was ended from outside.
 */
export async function announce(announcement: Announcement): Promise<void> {
  const { tenant, actionId, n, kind } = announcement;
  try {
    await CancellationScope.nonCancellable(() =>
      startChild<typeof notification>('notification', {
        workflowId: `notice/${tenant}/${actionId}/${n}-${kind}`,
        args: [announcement],
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        typedSearchAttributes: new TypedSearchAttributes([{ key: ATTRIBUTES.tenant, value: tenant }]),
        staticSummary: `${kind}: ${actionId}`.slice(0, MAX_SUMMARY),
      }),
    );
  } catch (error) {
    log.warn('not announced', { kind, n, reason: error instanceof Error ? error.message : String(error) });
  }
}

export type { Announcement } from '../src/notify/notice.js';
