/** Whether an action is denied only because what must come before it is still under way: then it may wait. */
import type { Decision, Facts } from '../../action/decision.js';
import { MAX_HISTORY_COUNT, type HistoryFigure } from '../../action/history.js';
import type { Policy } from '../compile.js';
import { evaluate } from '../evaluate.js';
import type { HistoryFact } from './fact.js';

/** How long to wait before looking again: when it ends, hangs on others. Milliseconds. */
const LOOK_AGAIN_MS = 500;

export interface AwaitedActions {
  /** The decision if what is under way ends as asked. It does not deny. */
  readonly decision: Decision;
  readonly reason: string;
  readonly maxWaitMs: number;
  readonly retryAfterMs: number;
}

type Waiting = HistoryFact & { readonly waitMs: number };

/** Decides again as if what is under way had ended as the facts ask. Undefined when that would be denied too, or no fact lets the action wait. */
export function awaited(policy: Policy, facts: Facts): AwaitedActions | undefined {
  const figures = new Map(facts.history?.map((figure) => [figure.fact, figure]));
  const waiting = policy.history.facts.filter(
    (fact): fact is Waiting => fact.waitMs !== undefined && (figures.get(fact.id)?.underWay ?? 0) > 0,
  );
  if (waiting.length === 0) return undefined;
  const decision = evaluate(policy, ended(facts, waiting));
  if (decision.effect === 'deny') return undefined;
  // Only what it really waits for is named, and only its time counts.
  const needed = waiting.filter(
    (fact) =>
      evaluate(
        policy,
        ended(
          facts,
          waiting.filter((other) => other !== fact),
        ),
      ).effect === 'deny',
  );
  const named = needed.length === 0 ? waiting : needed;
  return {
    decision,
    reason: named.map(({ id }) => figures.get(id)?.text ?? id).join('; '),
    maxWaitMs: Math.min(...named.map(({ waitMs }) => waitMs)),
    retryAfterMs: LOOK_AGAIN_MS,
  };
}

function ended(facts: Facts, waiting: readonly HistoryFact[]): Facts {
  const ids = new Set(waiting.map(({ id }) => id));
  const history = facts.history?.map((figure): HistoryFigure => {
    if (!ids.has(figure.fact)) return figure;
    return { ...figure, done: Math.min(MAX_HISTORY_COUNT, figure.done + figure.underWay), underWay: 0 };
  });
  return history === undefined ? facts : { ...facts, history };
}
