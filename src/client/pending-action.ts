/** An action that was proposed and waits for people. */
import type { Outcome, PendingView } from '../action/outcome.js';

/** An action that waits for people. Once they have approved it goes on by itself, whether or not anybody waits for it. */
export interface PendingAction {
  readonly status: 'pending';
  readonly tenant: string;
  readonly actionId: string;
  readonly reason: string;
  readonly pending: PendingView;
  /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
  outcome(options?: { timeoutMs?: number }): Promise<Outcome>;
}
