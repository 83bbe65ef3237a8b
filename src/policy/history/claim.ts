/** What a decision relied on of earlier actions, to be checked again in the statement that issues the grant. */
import type { Facts } from '../../action/decision.js';
import type { HistoryCheck, HistoryClaim } from '../../action/history.js';
import type { Policy } from '../compile.js';
import type { HistoryCount } from './cedar.js';
import type { ReadHistory } from './resolve.js';
import { sameAnswers } from './uses.js';

/**
 * The counts that some rule reads that could apply, each with the range in which every comparison answers as it did. Undefined when there is
 * neither anything to check nor anything to leave for later actions.
 */
export function historyClaim(
  policy: Policy,
  facts: Facts,
  { queries, readings, marks }: ReadHistory,
): HistoryClaim | undefined {
  const uses = policy.historyUses(facts);
  const checks = queries.flatMap((query, index): readonly HistoryCheck[] => {
    const reading = readings[index];
    const bounds = (count: HistoryCount): readonly number[] =>
      uses.filter((use) => use.fact === query.fact && use.count === count).map(({ bound }) => bound);
    const [done, possible] = [bounds('done'), bounds('possible')];
    if (reading === undefined || done.length + possible.length === 0) return [];
    return [
      {
        ...query,
        ...(done.length === 0 ? {} : { doneIn: sameAnswers(reading.done, done) }),
        ...(possible.length === 0 ? {} : { possibleIn: sameAnswers(reading.possible, possible) }),
      },
    ];
  });
  return checks.length + marks.length === 0 ? undefined : { checks, marks };
}
