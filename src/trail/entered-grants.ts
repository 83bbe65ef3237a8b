/** Grants of actions that take long to conclude come into the trail without their receipts. */
import { asCountersignError, type CountersignError } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';

/** An action that concludes sooner brings its grants with its receipt, and writes nothing more. Milliseconds. */
const CONCLUDES_WITHIN_MS = 60_000;

/** How many are entered while other writers of the trail wait. */
const AT_ONCE = 100;

export interface EnterGrantsOptions {
  readonly ledger: Pick<Ledger, 'trail'>;
  /** Default: every tenant's. */
  readonly tenants?: readonly string[] | undefined;
  /** Since when they were used. Milliseconds, default 60,000. */
  readonly olderThanMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly problem: (tenant: string, error: CountersignError) => void;
}

/**
 * Enters the grants that were used a while ago and whose actions have no outcome yet. What stands against one tenant's keeps no other's out.
 *
 * @returns how many. @throws CountersignError LEDGER_UNAVAILABLE
 */
export async function enterUsedGrants(options: EnterGrantsOptions): Promise<number> {
  const { ledger, tenants, olderThanMs = CONCLUDES_WITHIN_MS, signal, problem } = options;
  let entered = 0;
  for (const { tenant, jtis } of await ledger.trail.unenteredGrants(olderThanMs, tenants)) {
    try {
      for (let at = 0; at < jtis.length; at += AT_ONCE) {
        signal.throwIfAborted();
        entered += await ledger.trail.enterGrants(tenant, jtis.slice(at, at + AT_ONCE));
      }
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = asCountersignError(thrown);
      if (error.code === 'LEDGER_UNAVAILABLE') throw error;
      problem(tenant, error);
    }
  }
  return entered;
}
