/** How an action can end. Apart from the outcome, because limits and receipts need no more of it. */
export const OUTCOME_STATUSES = ['success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];
