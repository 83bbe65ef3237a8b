/** How an action ended, as its row says it. */
import type { Digest } from '../../action/json.js';
import type { Outcome, UnreceiptedOutcome } from '../../action/outcome.js';

/** The columns that say how an action ended. All null, or none. */
export interface EndColumns {
  readonly outcome: UnreceiptedOutcome | null;
  readonly receipt_seq: string | null;
  readonly receipt_hash: Digest | null;
}

/** The outcome with its receipt, or undefined while the action is open. */
export function outcomeOf(tenant: string, row: EndColumns): Outcome | undefined {
  if (row.outcome === null || row.receipt_seq === null || row.receipt_hash === null) return undefined;
  return { ...row.outcome, receipt: { tenant, seq: Number(row.receipt_seq), hash: row.receipt_hash } };
}
