/** Waits until the workers say that they run a policy: whoever ordered a change wants to know that it is in force. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PlacedPolicy, PolicyWorker } from '../../action/policy-rollout.js';

/** How long the workers are waited for. They agree within a second; one that is busy may take longer. Milliseconds. */
const AGREE_MS = 10_000;
const LOOK_EVERY_MS = 100;

/** What the workers are to run, and where. */
export type RunningPolicy = Pick<PlacedPolicy, 'state' | 'digest'>;

export function runsPolicy(worker: PolicyWorker, { state, digest }: RunningPolicy): boolean {
  return worker[state] === digest;
}

/**
 * The workers that take their policy from the ledger, as soon as all of them run it or say why not; as they are when that takes too long.
 *
 * @param atLeast so many of them must have said something
 */
export async function workersAgreed(
  rollout: { workers(): Promise<readonly PolicyWorker[]> },
  running: RunningPolicy,
  atLeast = 0,
): Promise<readonly PolicyWorker[]> {
  const end = performance.now() + AGREE_MS;
  for (;;) {
    const workers = await ledgerWorkers(rollout);
    const settled = workers.every((worker) => runsPolicy(worker, running) || worker.problem !== undefined);
    if ((settled && workers.length >= atLeast) || performance.now() > end) return workers;
    await delay(LOOK_EVERY_MS);
  }
}

/** The workers that take their policy from the ledger and are not silent. */
export async function ledgerWorkers(rollout: {
  workers(): Promise<readonly PolicyWorker[]>;
}): Promise<readonly PolicyWorker[]> {
  return (await rollout.workers()).filter(({ source, silent }) => source === 'ledger' && !silent);
}
