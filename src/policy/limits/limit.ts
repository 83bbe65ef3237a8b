/** The limits that a policy declares in limits.yaml. */
import type { LimitScope, LimitWindow } from '../../action/limits.js';
import type { CelEvaluator, Evaluate } from '../../cel/evaluator.js';
import type { SourceLocation } from '../cedar.js';
import type { AtLimit } from './resolved.js';

/** A compiled CEL expression, with its place in the file. */
export interface LimitExpression {
  readonly evaluate: Evaluate;
  /** Whether its value can depend on the agent. */
  readonly readsAgent: boolean;
  readonly place: SourceLocation;
}

interface Declared {
  /** a-z, 0-9 and -, at most 64; unique in the file. */
  readonly id: string;
  readonly place: SourceLocation;
  /** The condition under which the limit applies to an action. Absent: it applies to all. */
  readonly when?: LimitExpression;
}

interface Scoped extends Declared {
  /** In the order of LIMIT_SCOPES. */
  readonly scope: readonly LimitScope[];
  readonly atLimit: AtLimit;
}

export interface BudgetLimit extends Scoped {
  readonly kind: 'budget';
  readonly max: number;
  readonly unit: string;
  readonly amount: LimitExpression;
  readonly settled?: LimitExpression;
  /** The window of the budget. Absent: it never resets. */
  readonly window?: LimitWindow;
}

export interface CountLimit extends Scoped {
  readonly kind: 'count';
  readonly max: number;
  readonly window?: LimitWindow;
}

export interface RateLimit extends Scoped {
  readonly kind: 'rate';
  readonly capacity: number;
  readonly refillMs: number;
}

export interface ConcurrencyLimit extends Scoped {
  readonly kind: 'concurrency';
  readonly max: number;
}

export interface BreakerLimit extends Scoped {
  readonly kind: 'breaker';
  readonly windowMs: number;
  readonly minimum: number;
  readonly ratio: number;
  readonly openMs: number;
  readonly probes: number;
}

export interface DepthLimit extends Declared {
  readonly kind: 'depth';
  /** The most agents above the proposing one, counted from the agent whose credential the issuer signed. */
  readonly max: number;
}

export type CountedLimit = BudgetLimit | CountLimit | RateLimit | ConcurrencyLimit | BreakerLimit;
export type Limit = CountedLimit | DepthLimit;

/** The limits of one policy. */
export interface LimitSet {
  /** The limits in the order of the file. */
  readonly limits: readonly Limit[];
  /** Absent when the file has no CEL. */
  readonly evaluator?: CelEvaluator;
}

export const NO_LIMITS: LimitSet = { limits: [] };

export const LIMITS_FILE = 'limits.yaml';
