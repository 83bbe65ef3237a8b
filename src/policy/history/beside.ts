/** What earlier actions come to for an action beside others that are asked for together with it, come first, and have left nothing yet. */
import { MAX_HISTORY_COUNT, type HistoryQuery, type HistoryReading } from '../../action/history.js';

/**
 * The readings as they would be if the others were under way. `readings` are those of `queries`, in the same order.
 *
 * @param others the marks that each of the others would leave
 */
export function historyBesideOthers(
  readings: readonly HistoryReading[],
  queries: readonly HistoryQuery[],
  others: readonly (readonly string[])[],
): readonly HistoryReading[] {
  return readings.map((reading, index) => {
    const query = queries[index];
    if (query === undefined) return reading;
    const left = (marks: readonly string[]): number =>
      others.filter((other) => other.some((mark) => marks.includes(mark))).length;
    const most = (count: number): number => Math.min(count, MAX_HISTORY_COUNT);
    return {
      ...reading,
      underWay: most(reading.underWay + left(query.certain)),
      possible: most(reading.possible + left(query.possible)),
    };
  });
}
