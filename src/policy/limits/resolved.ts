/** What an action meets of its policy's limits: the terms in which limits, ledger and workflow speak of them. */
import type { ErrorCode, Problem } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { LimitDemand, LimitFigure } from '../../action/limits.js';
import type { Requirement, Violation } from '../../action/decision.js';
import type { ApprovalTerms } from '../approval.js';

/** What happens to an action that does not fit. */
export type AtLimit =
  | { readonly kind: 'deny' }
  /** It waits, and is prepared again, for at most so long. */
  | { readonly kind: 'queue'; readonly maxWaitMs: number }
  | { readonly kind: 'approve'; readonly approvals: readonly ApprovalTerms[] };

/** One demand of an action, and what its limit says of it. */
export interface ResolvedLimit {
  readonly demand: LimitDemand;
  readonly atLimit: AtLimit;
  /** Names the counter for people: `refunds-per-day agent=billing-bot`. */
  readonly label: string;
  /** What was really spent, from what the tool returned. Absent: what was held. @throws CountersignError POLICY_ERROR */
  readonly settled?: (result: Json) => number;
}

/** Everything that an action meets. Both `limits` and `exceeded` empty: no limit says anything of it. */
export interface ResolvedLimits {
  /** To be read and placed. Different counters, in an order that is the same for the same action. */
  readonly limits: readonly ResolvedLimit[];
  /** What denies the action whatever the ledger says: a chain of agents that is too long, a cap that nothing measures. */
  readonly exceeded: readonly Violation[];
  /** Of the depth limits it meets: they have no counter in the ledger. Belongs in front of `figuresOf`'s. */
  readonly depths: readonly LimitFigure[];
  /** What each budget makes of the action. */
  readonly measured: readonly Measured[];
}

/** What one budget of the policy made of the action. */
export interface Measured {
  readonly unit: string;
  readonly amount: number;
  /** What was really spent, from what the tool returned. */
  readonly settle?: (result: Json) => number;
}

/** What limits say, once the ledger has said where their counters stand. */
export type AtLimits =
  | { readonly kind: 'fits' }
  | (Problem & {
      readonly kind: 'deny';
      /** LIMIT_EXCEEDED; BREAKER_OPEN when nothing but breakers stands against it. */
      readonly code: Extract<ErrorCode, 'LIMIT_EXCEEDED' | 'BREAKER_OPEN'>;
      readonly reason: string;
      readonly violations: readonly Violation[];
      /** When it may fit, milliseconds from the facts' `now`. Absent when nobody knows, or never. */
      readonly retryAfterMs?: number;
    })
  | {
      readonly kind: 'queue';
      readonly reason: string;
      /** Longest the action waits, from when it first met the limit. */
      readonly maxWaitMs: number;
      /** When to look again. */
      readonly retryAfterMs: number;
    }
  /** `over`: the ids of the limits that people may lift for this action; their demands are to be placed with `over: true`. */
  | { readonly kind: 'approve'; readonly requirements: readonly Requirement[]; readonly over: readonly string[] };
