/** How much an action asks of a counter, and how amounts are counted. */
import type { LimitDemand } from '../../action/limits.js';

type Demanded<Demand> = Demand extends LimitDemand ? Omit<Demand, 'limit' | 'key'> : never;
/** What is asked of a counter, whichever it is. */
export type CounterDemand = Demanded<LimitDemand>;

/** One, of what counts actions and says no amount. */
export function amountOf(demand: CounterDemand): number {
  return 'amount' in demand ? demand.amount : 1;
}

/** The ledger counts in decimals: `0.3 - 0.1` leaves 0.2. */
export function exactAmount(amount: number): number {
  return Number(amount.toFixed(9));
}
