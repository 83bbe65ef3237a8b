/** What earlier actions came to, as data: what an action asks of the ledger, and what is found. Policy declares it (`history.yaml`). */

/** More earlier actions than this are not told apart: a count of 100 means 100 or more. */
export const MAX_HISTORY_COUNT = 100;

/** How an earlier action must have ended to count. An outcome that is `unknown`, and an action that has not ended, may still come to it. */
export const HISTORY_OUTCOMES = ['success', 'mismatch', 'failed'] as const;
export type HistoryOutcome = (typeof HISTORY_OUTCOMES)[number];

/** Where an earlier action is looked for. The tenant is always one of them. */
export const HISTORY_SCOPES = ['tenant', 'agent', 'task', 'target'] as const;
export type HistoryScope = (typeof HISTORY_SCOPES)[number];

/** What one history fact asks of the ledger for one action. */
export interface HistoryQuery {
  /** The fact's id in history.yaml. */
  readonly fact: string;
  /** The marks of earlier actions that count once they have ended as `outcomes` says. */
  readonly certain: readonly string[];
  /** The marks of those that may count; `certain` is among them. */
  readonly possible: readonly string[];
  /** How far back an action counts, from when it was authorized. Milliseconds. */
  readonly withinMs: number;
  readonly outcomes: readonly HistoryOutcome[];
}

/** What was found, by the database's clock. The action that asks is not counted. None is over `MAX_HISTORY_COUNT`. */
export interface HistoryReading {
  readonly fact: string;
  /** Earlier actions that have ended as the fact asks, for certain. */
  readonly done: number;
  /** Those that are authorized, have not ended, and will be among `done` if they end as the fact asks. */
  readonly underWay: number;
  /**
   * All that have, or may have had, the effect that the fact is about: `done`, what has not ended, what is `unknown`, and where success is asked a
   * `mismatch`.
   */
  readonly possible: number;
}

/** From the least to the most, both included. */
export type CountRange = readonly [least: number, most: number];

/** What a decision relied on: with other counts in these ranges it is the same. */
export interface HistoryCheck extends HistoryQuery {
  /** Absent: no rule reads it. */
  readonly doneIn?: CountRange;
  readonly possibleIn?: CountRange;
}

/** What `authorize` checks and writes in the statement that issues the grant. */
export interface HistoryClaim {
  readonly checks: readonly HistoryCheck[];
  /** The names under which the action is found by those that come after it. */
  readonly marks: readonly string[];
}

/** A history fact as people, agents and policies see it: in the decision's facts and in `context.history`. */
export interface HistoryFigure extends HistoryReading {
  /** `tested: 1 done, 1 under way`. */
  readonly text: string;
}
