/** What a backtest reports. JSON throughout, in an order of its own: the same decisions and candidate give the same bytes. */
import type { DecisionEffect } from '../../action/decision.js';
import type { Digest } from '../../action/json.js';
import type { ChangeKind, Standing } from './change.js';

/** Sums by unit: `{EUR: 120}`. */
export type Money = Readonly<Record<string, number>>;

export interface DecisionChange {
  readonly kind: ChangeKind;
  readonly tenant: string;
  readonly actionId: string;
  readonly decidedAt: string;
  readonly agent: string;
  readonly tool: string;
  readonly operation: string;
  readonly targets: readonly string[];
  readonly before: ChangedDecision;
  readonly after: ChangedDecision;
  /** The rules and limits that made the difference. */
  readonly rules: readonly string[];
  /** What budgets measured of it. */
  readonly amounts: Money;
}

export interface ChangedDecision {
  readonly effect: DecisionEffect;
  readonly standing: Standing;
  readonly code?: string;
  readonly reason: string;
}

/** Changes of one kind that one rule, agent or tool has a part in. */
export interface Group {
  readonly by: 'rule' | 'agent' | 'tool';
  readonly name: string;
  readonly kind: ChangeKind;
  readonly count: number;
  readonly amounts: Money;
  /** Ids of the first, as `<tenant>/<actionId>`. */
  readonly examples: readonly string[];
}

/** A counter that would have had no room where it had some. */
export interface Exhausted {
  readonly limit: string;
  readonly key: string;
  readonly tenant: string;
  /** When it first had no room. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly actions: number;
  /** What these actions asked of it, where it is a budget. */
  readonly asked?: { readonly amount: number; readonly unit: string };
}

/** Decisions that could not be made again, for one reason. */
export interface Undecided {
  readonly why: string;
  readonly count: number;
  readonly examples: readonly string[];
}

/** One day of decisions, UTC. */
export interface Day {
  readonly day: string;
  readonly before: Readonly<Record<DecisionEffect, number>>;
  readonly after: Readonly<Record<DecisionEffect, number>>;
  readonly changed: number;
}

/** Under 16 KiB of JSON, whatever the number of decisions. */
export interface BacktestSummary {
  readonly v: 1;
  readonly candidate: Digest;
  /** Of the policies that the decisions were made under, sorted; at most 20. */
  readonly recordedUnder: readonly Digest[];
  /** Of the first and the last decision. Absent when there are none. */
  readonly from?: string;
  readonly to?: string;
  readonly decisions: number;
  /** Those that policy had no part in, such as proposals that were malformed. They are in no other count. */
  readonly beforePolicy: number;
  readonly redecided: number;
  /** Redecided, and nothing changes. */
  readonly same: number;
  /** Of these, the ones that are the same to the letter, figures in their sentences included. */
  readonly toTheLetter: number;
  readonly undecided: number;
  readonly changes: Readonly<Record<ChangeKind, number>>;
  readonly amounts: Readonly<Record<ChangeKind, Money>>;
  readonly exhausted: number;
  /** Digest of the whole report but for this field. */
  readonly report: Digest;
}

export interface BacktestReport {
  readonly summary: BacktestSummary;
  /** What the figures rest on, in sentences. */
  readonly assumptions: readonly string[];
  /** In the order of kinds, then of names. */
  readonly groups: readonly Group[];
  readonly exhausted: readonly Exhausted[];
  readonly undecided: readonly Undecided[];
  readonly days: readonly Day[];
  /** Every change, in the order of decision. */
  readonly changes: readonly DecisionChange[];
}

export const ASSUMPTIONS: readonly string[] = [
  'Approvals are as they were: what was said counts where it meets what the candidate asks for. What nobody was asked about is taken as approved where limits count it.',
  'What is newly allowed is taken to succeed, and to spend what was asked for.',
  'What is newly denied spends nothing. Agents are not taken to try again or to do something else.',
  'A limit that the decisions were not made under counts from the first decision on, as if nothing had been counted before.',
];
