/** Limits as data: what an action asks of them, and what is left. Policy declares them (`limits.yaml`), the ledger counts. */
import type { OutcomeStatus } from './outcome-status.js';

export const LIMIT_KINDS = ['budget', 'count', 'rate', 'concurrency', 'breaker', 'depth'] as const;
export type LimitKind = (typeof LIMIT_KINDS)[number];

/** What a limit may count apart: one counter for each combination of these. The tenant is always one of them. */
export const LIMIT_SCOPES = ['tenant', 'agent', 'tool', 'actionType', 'target', 'environment', 'trace'] as const;
export type LimitScope = (typeof LIMIT_SCOPES)[number];

interface Counter {
  /**
   * The limit's `id` in limits.yaml; or `delegation:<jti>` for a cap that a delegation carries, `standing:<id>` for the budget of a
   * standing approval (each with `:<unit>` behind it for amounts).
   */
  readonly limit: string;
  /** Which of the limit's counters, within the tenant: `agent=billing-bot,tool=payments`; empty for the tenant's own. */
  readonly key: string;
}

/** A window of time: fixed, or sliding with the time. */
export type LimitWindow = FixedWindow | SlidingWindow;

/**
 * It begins at a multiple of its length since 1970-01-01, by the clock of its time zone. A day on which that clock changes is one window of
 * 23 or 25 hours.
 */
export interface FixedWindow {
  readonly kind: 'fixed';
  readonly ms: number;
  /** An IANA name: `Europe/Berlin`. The window is whole days then. Default UTC. */
  readonly timezone?: string;
}

/** It may forget up to 1/32 of its length late, never early. */
export interface SlidingWindow {
  readonly kind: 'sliding';
  readonly ms: number;
}

/** A sum over a window, or for good. Held when authorized, consumed on success, given back on failure. */
export interface BudgetDemand extends Counter {
  readonly kind: 'budget' | 'count';
  /** Finite and not negative. A count asks for 1. */
  readonly amount: number;
  readonly max: number;
  /** `EUR`; a count's is `actions`. */
  readonly unit: string;
  /** Without a window it is for good. */
  readonly window?: LimitWindow;
}

/** A token bucket: every action that is authorized takes one, whatever becomes of it. */
export interface RateDemand extends Counter {
  readonly kind: 'rate';
  /** Tokens that can be saved up. */
  readonly capacity: number;
  /** Milliseconds until one more. */
  readonly refillMs: number;
}

/** At most `max` at once: a lease, given back when the action ends. */
export interface ConcurrencyDemand extends Counter {
  readonly kind: 'concurrency';
  readonly max: number;
}

/**
 * Closed: everything passes, and results are counted. Open: nothing passes for `openMs`. Half-open: `probes` at once may pass; as many
 * successes close it, one bad result opens it again. It opens when at least `minimum` results are in the window and the bad ones are
 * `ratio` of them or more. `failed`, `mismatch` and `unknown` are bad; what never reached the tool is no result.
 */
export interface BreakerDemand extends Counter {
  readonly kind: 'breaker';
  readonly windowMs: number;
  readonly minimum: number;
  /** Over 0, at most 1. */
  readonly ratio: number;
  readonly openMs: number;
  readonly probes: number;
}

/** What one action asks of one counter. */
export type LimitDemand = BudgetDemand | RateDemand | ConcurrencyDemand | BreakerDemand;

/** A demand that is to be placed. `over`: people allowed it although it does not fit; it is counted all the same. */
export type HoldRequest = LimitDemand & { readonly over?: boolean };

/** One counter, with regard to one demand. */
export interface LimitReading extends Counter {
  readonly kind: Exclude<LimitKind, 'depth'>;
  readonly max: number;
  /** Consumed in the window; for concurrency 0; for a rate the tokens taken; for a breaker the bad results in its window. */
  readonly used: number;
  /** Reserved by actions that have not ended. */
  readonly held: number;
  /** What is left of `max`, never below 0. Of the state before this demand is placed. */
  readonly left: number;
  /** Whether the demand fits. */
  readonly fits: boolean;
  /** Milliseconds from now, by the database's clock, until it may fit. Absent when that hangs on others or will never be. */
  readonly retryAfterMs?: number;
  readonly state?: 'closed' | 'open' | 'half_open';
}

/** What becomes of an action's holds. `keep`: it is not known whether the effect happened (and the outcome is `unknown`, else nobody could end them); they stay until that is resolved. */
export interface HoldSettlement {
  readonly disposition: 'consume' | 'release' | 'keep';
  /** What a breaker is told; absent when the tool was never reached. */
  readonly result?: 'good' | 'bad';
  /** What was really spent, by limit id, where that differs from what was held. Finite, not negative. */
  readonly amounts?: Readonly<Record<string, number>>;
}

/** What the end of an action means for its holds, unless somebody knows more. */
export const DISPOSITIONS: Readonly<Record<OutcomeStatus, HoldSettlement['disposition']>> = {
  success: 'consume',
  // The effect was made, whatever came of it.
  mismatch: 'consume',
  unknown: 'keep',
  failed: 'release',
  denied: 'release',
  expired: 'release',
  cancelled: 'release',
};

export interface Spending {
  readonly status: OutcomeStatus;
  /** The tool was never called. */
  readonly notAttempted?: boolean;
  /** The held amounts are spent, although it is not known how the action ended. */
  readonly spent?: boolean;
  readonly amounts?: Readonly<Record<string, number>>;
}

/** How the holds of an action are settled, given how it ended. */
export function holdSettlementOf({ status, notAttempted = false, spent = false, amounts }: Spending): HoldSettlement {
  const bad = status === 'mismatch' || status === 'unknown' || (status === 'failed' && !notAttempted);
  return {
    disposition: spent ? 'consume' : DISPOSITIONS[status],
    ...(status === 'success' ? { result: 'good' } : bad ? { result: 'bad' } : {}),
    ...(amounts === undefined ? {} : { amounts }),
  };
}

/** A limit as people, agents and policies see it: in the decision, in `context.limits`, in the CLI. */
export interface LimitFigure extends Counter {
  readonly kind: LimitKind;
  readonly unit?: string;
  readonly max: number;
  readonly used: number;
  readonly held: number;
  readonly left: number;
  readonly fits: boolean;
  readonly retryAfterMs?: number;
  readonly state?: 'closed' | 'open' | 'half_open';
  /** `refunds-per-day: 380 of 500 EUR left`. */
  readonly text: string;
}

/** The limit under which a standing approval's actions are counted; with a unit, its amounts of that. */
export function standingLimit(id: string, unit?: string): string {
  return unit === undefined ? `standing:${id}` : `standing:${id}:${unit}`;
}
