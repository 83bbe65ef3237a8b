/** What the guarded action is measured against: workflows that do the same write, and guard nothing. */
import { proxyActivities } from '@temporalio/workflow';

const { write, nothing } = proxyActivities<{
  write(id: number, plan: string): Promise<number>;
  nothing(): Promise<void>;
}>({ startToCloseTimeout: '30s' });

/** The write in one regular activity. */
export async function bareWrite(id: number, plan: string): Promise<number> {
  return write(id, plan);
}

/** What a team writes by hand: a regular activity for each of six steps. All but the write are empty here. */
export async function handWritten(id: number, plan: string): Promise<number> {
  await nothing();
  await nothing();
  await nothing();
  const changed = await write(id, plan);
  await nothing();
  await nothing();
  return changed;
}
