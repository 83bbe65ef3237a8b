/** Waits until an action has ended, or until a person has resolved what became of it. */
import { continueAsNew, sleep } from '@temporalio/workflow';
import type { ActionState } from '../activities/contract.js';
import { patient } from './steps.js';

export interface Awaited {
  readonly tenant: string;
  readonly actionId: string;
  /** Whether `unknown` is waited out too. Without it, an action that nobody is at (`lost`) is not waited for. */
  readonly resolved: boolean;
  readonly waitedMs?: number;
}

/** Between two looks at the ledger, milliseconds: whoever has waited long looks seldom. */
const PAUSE = { shortest: 500, longest: 30_000, shareOfWaited: 1 / 4 } as const;

/** Then it goes on with a fresh history. */
const MAX_LOOKS = 300;

export async function resolution(awaited: Awaited): Promise<ActionState> {
  const { tenant, actionId, resolved } = awaited;
  let { waitedMs = 0 } = awaited;
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const found = await patient.actionState(tenant, actionId);
    if (found.kind === 'ended' && !(resolved && found.outcome.status === 'unknown')) return found;
    if (found.kind === 'lost' && !resolved) return found;
    const pause = Math.min(PAUSE.longest, Math.max(PAUSE.shortest, waitedMs * PAUSE.shareOfWaited));
    await sleep(pause);
    waitedMs += pause;
  }
  return continueAsNew<typeof resolution>({ ...awaited, waitedMs });
}
