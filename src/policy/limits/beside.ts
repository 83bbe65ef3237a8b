/** What limits leave to an action beside others that are asked for together with it and hold nothing yet. */
import type { LimitDemand, LimitReading } from '../../action/limits.js';
import { amountOf, exactAmount } from './amounts.js';

/**
 * The readings as they would be if the others had been admitted before. A closed breaker lets any number pass. `readings` are those of
 * `demands`, in the same order.
 */
export function besideOthers(
  readings: readonly LimitReading[],
  demands: readonly LimitDemand[],
  others: readonly LimitDemand[],
): readonly LimitReading[] {
  return readings.map((reading, index) => {
    const demand = demands[index];
    const taken = sum(others.filter((other) => isSameCounter(other, reading)).map(amountOf));
    if (demand === undefined || taken === 0 || reading.state === 'closed') return reading;
    const left = exactAmount(Math.max(0, reading.left - taken));
    const fits = reading.fits && amountOf(demand) <= left;
    const { retryAfterMs, ...rest } = reading;
    // When there is room again for what only the others leave none for, hangs on them.
    const retry = reading.fits || retryAfterMs === undefined ? {} : { retryAfterMs };
    return { ...rest, held: exactAmount(reading.held + taken), left, fits, ...retry };
  });
}

function isSameCounter(one: LimitDemand, other: LimitReading): boolean {
  return one.limit === other.limit && one.key === other.key && one.kind === other.kind;
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
