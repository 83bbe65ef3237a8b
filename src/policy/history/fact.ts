/** The history facts that a policy declares in history.yaml. */
import type { ActionType } from '../../action/decision.js';
import type { HistoryOutcome, HistoryScope } from '../../action/history.js';
import type { SourceLocation } from '../cedar.js';

/** Which earlier actions count. All that is given must be so; of several values, one. */
export interface EarlierActions {
  readonly tool?: readonly string[];
  readonly operation?: readonly string[];
  readonly actionType?: readonly ActionType[];
  readonly environment?: readonly string[];
  /** What they wrote, in lower case. */
  readonly targets?: readonly string[];
  /** What they only read, in lower case. */
  readonly reads?: readonly string[];
}

export interface HistoryFact {
  /** a-z, 0-9 and -, at most 64; unique in the file. */
  readonly id: string;
  readonly place: SourceLocation;
  readonly of: EarlierActions;
  /** In the order of HISTORY_SCOPES. */
  readonly scope: readonly HistoryScope[];
  /** Arguments that must be the same in both, as paths into the input: `orderId`, `body.id`. Sorted. */
  readonly same: readonly string[];
  readonly outcomes: readonly HistoryOutcome[];
  readonly withinMs: number;
  /** How long an action waits for one that is under way. Absent: it is denied at once. */
  readonly waitMs?: number;
}

/** The history facts of one policy, in the order of the file. */
export interface HistorySet {
  readonly facts: readonly HistoryFact[];
}

export const NO_HISTORY: HistorySet = { facts: [] };

export const HISTORY_FILE = 'history.yaml';
