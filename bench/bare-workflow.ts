/** What the guarded action is measured against: a workflow that does the same write in one regular activity, and nothing else. */
import { proxyActivities } from '@temporalio/workflow';

const { write } = proxyActivities<{ write(id: number, plan: string): Promise<number> }>({ startToCloseTimeout: '30s' });

export async function bareWrite(id: number, plan: string): Promise<number> {
  return write(id, plan);
}
