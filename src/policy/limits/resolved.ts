/** The limits that apply to an action, in the types that limits, ledger and activities share. */
import type { ErrorCode, Problem } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import type { LimitDemand, LimitFigure } from '../../action/limits.js';
import type { Requirement, Violation } from '../../action/decision.js';
import type { ApprovalTerms } from '../approval.js';

/** What happens to an action that does not fit. */
export type AtLimit =
  | { readonly kind: 'deny' }
  /** The action waits and is evaluated again. */
  | {
      readonly kind: 'queue';
      /** The longest time that it waits. Milliseconds. */
      readonly maxWaitMs: number;
    }
  | { readonly kind: 'approve'; readonly approvals: readonly ApprovalTerms[] };

/** What an action needs of one counter of a limit. */
export interface ResolvedLimit {
  readonly demand: LimitDemand;
  readonly atLimit: AtLimit;
  /** The name of the counter, for people: `refunds-per-day agent=billing-bot`. */
  readonly label: string;
  /** Computes what was really spent from the result of the tool. Absent: what was held is spent. @throws CountersignError POLICY_ERROR */
  readonly settled?: (result: Json) => number;
}

/** All limits that apply to an action. When `limits`, `exceeded` and `depths` are empty, none does. */
export interface ResolvedLimits {
  /** The demands to read and place, each of a different counter. Their order is the same for the same action. */
  readonly limits: readonly ResolvedLimit[];
  /** Reasons to deny the action whatever the ledger reads: a chain of agents that is too long, a cap that no budget measures. */
  readonly exceeded: readonly Violation[];
  /** The figures of depth limits, which have no counter in the ledger. They come before those of `figuresOf`. */
  readonly depths: readonly LimitFigure[];
  /** The amount that each budget measures for the action. */
  readonly measured: readonly Measured[];
}

/** The amount that one budget of the policy measures for the action. */
export interface Measured {
  readonly unit: string;
  /** In `unit`: what is held of the budget. */
  readonly amount: number;
  /** Computes what was really spent from the result of the tool. */
  readonly settle?: (result: Json) => number;
}

/** What the limits decide, given the readings of the ledger. */
export type AtLimits =
  | { readonly kind: 'fits' }
  | (Problem & {
      readonly kind: 'deny';
      /** BREAKER_OPEN when only breakers deny the action, else LIMIT_EXCEEDED. */
      readonly code: Extract<ErrorCode, 'LIMIT_EXCEEDED' | 'BREAKER_OPEN'>;
      readonly reason: string;
      readonly violations: readonly Violation[];
      /** When the action may fit, in milliseconds from the facts' `now`. Absent when that is not known, or never. */
      readonly retryAfterMs?: number;
    })
  | {
      readonly kind: 'queue';
      readonly reason: string;
      /** The longest time that the action waits, from when it first reached the limit. Milliseconds. */
      readonly maxWaitMs: number;
      /** How long to wait before the limits are read again. Milliseconds. */
      readonly retryAfterMs: number;
    }
  /** `over`: the ids of the limits that people may lift for this action. Their demands must be placed with `over: true`. */
  | { readonly kind: 'approve'; readonly requirements: readonly Requirement[]; readonly over: readonly string[] };
