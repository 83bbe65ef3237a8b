/** What a counter leaves to a demand, by a figure of it that is known: the recorded one, or one that was read for another amount. */
import type { LimitDemand, LimitFigure, LimitReading } from '../../action/limits.js';
import { amountOf, exactAmount } from './amounts.js';

/** A figure without its words: a reading is one, too. */
export type CounterState = Pick<LimitFigure, 'limit' | 'key' | 'kind' | 'max' | 'used' | 'held' | 'fits'> &
  Partial<Pick<LimitFigure, 'retryAfterMs' | 'state'>>;

/** The figures of the counters that the demands are on, in their order; undefined where there is none. */
export function statesOf(
  demands: readonly LimitDemand[],
  figures: readonly CounterState[],
): readonly (CounterState | undefined)[] {
  const known = new Map(figures.map((figure) => [nameOf(figure), figure]));
  return demands.map((demand) => known.get(nameOf(demand)));
}

/** What was used and held counts as it is; the bound and the amount are the demand's. */
export function readingFrom(demand: LimitDemand, state: CounterState): LimitReading {
  const { limit, key, kind } = demand;
  const { used, held, retryAfterMs } = state;
  const max = maxOf(demand);
  const { room, fits } = roomOf(demand, state, max);
  // What asks for more than there ever is, fits at no time.
  const retry = fits || retryAfterMs === undefined || amountOf(demand) > max ? {} : { retryAfterMs };
  const of = { limit, key, kind, max, used, held, left: Math.max(room, 0), fits, ...retry };
  return state.state === undefined ? of : { ...of, state: state.state };
}

function roomOf(demand: LimitDemand, { used, held, max: before, fits, state }: CounterState, max: number) {
  switch (demand.kind) {
    case 'budget':
    case 'count':
    case 'concurrency': {
      const room = exactAmount(max - used - held);
      const amount = amountOf(demand);
      return { room, fits: amount <= room || amount === 0 };
    }
    case 'rate':
      // Its tokens are told rounded: of the same bucket it is known exactly whether one was left.
      return { room: max - used, fits: max === before ? fits : max - used >= 1 };
    case 'breaker': {
      const room = state === 'open' ? 0 : state === 'half_open' ? max - held : max;
      return { room, fits: room >= 1 };
    }
  }
}

function maxOf(demand: LimitDemand): number {
  return demand.kind === 'rate' ? demand.capacity : demand.kind === 'breaker' ? demand.probes : demand.max;
}

function nameOf({ limit, key, kind }: Pick<LimitFigure, 'limit' | 'key' | 'kind'>): string {
  return JSON.stringify([limit, key, kind]);
}
