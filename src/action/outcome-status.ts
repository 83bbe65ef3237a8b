/** How an action can end. Apart from the outcome, because limits and receipts need no more of it. */
export const OUTCOME_STATUSES = ['success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown'] as const;
/**
 * How an action ended:
 *
 * - `success`: the effect was made, and the system is as promised;
 * - `mismatch`: it was made, and the system is not;
 * - `failed`: the tool refused it or could not make it, and nothing was done;
 * - `denied`: it was refused by policy, a limit, a freeze or a person, or a step before the effect failed;
 * - `expired`: nobody decided in time;
 * - `cancelled`: it was stopped before its effect;
 * - `unknown`: nobody can tell yet whether the effect happened.
 */
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];
