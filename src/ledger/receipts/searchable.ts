/** What the archive finds and counts ended actions by: copies of parts of the outcome, in columns. */
import type { DecisionEffect } from '../../action/decision.js';
import type { UnreceiptedOutcome } from '../../action/outcome.js';
import { plain } from '../database/text.js';

export interface SearchableColumns {
  readonly effect: DecisionEffect | null;
  readonly policies: readonly string[] | null;
  readonly code: string | null;
  readonly reason: string;
  readonly summary: string | null;
  readonly via: readonly string[] | null;
}

/** Never refuses: an outcome must be recorded whatever its texts hold. */
export function searchableColumns({ decision, error, reason, facts }: UnreceiptedOutcome): SearchableColumns {
  const summary = facts?.preview?.summary;
  return {
    effect: decision?.effect ?? null,
    policies: decision?.policies?.map((policy) => plain(policy)) ?? null,
    code: error?.code ?? null,
    reason: plain(reason),
    summary: summary === undefined ? null : plain(summary),
    via: facts?.agent.via ?? null,
  };
}
