/** What the guarded action is measured against: workflows that do the same write, and guard nothing. */
import { condition, defineUpdate, proxyActivities, proxyLocalActivities, setHandler } from '@temporalio/workflow';

const { write, nothing } = proxyActivities<{
  write(id: number, plan: string): Promise<number>;
  nothing(): Promise<void>;
}>({ startToCloseTimeout: '30s' });

const local = proxyLocalActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '30s' });

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

/** Answers an update that comes with the start, as `trustedAction` does. */
export const changedRows = defineUpdate<number>('changedRows');

/** The shape of `trustedAction` without what its steps do: the least that seven steps cost with this SDK. */
export async function emptySteps(id: number, plan: string): Promise<number> {
  let changed: number | undefined;
  setHandler(changedRows, async () => {
    await condition(() => changed !== undefined);
    return changed as number;
  });
  await local.nothing();
  await local.nothing();
  await local.nothing();
  await local.nothing();
  const rows = await write(id, plan);
  await local.nothing();
  await local.nothing();
  changed = rows;
  return rows;
}
