/** What happened to recorded actions, in order: each was decided, placed its holds, and had them settled. Microseconds since 1970. */
import type { DecisionRecord } from '../../action/decision-record.js';
import { microsecondsOf } from './windows.js';

export interface Moment {
  readonly kind: 'decide' | 'place' | 'settle';
  /** Of the record. */
  readonly index: number;
  readonly at: number;
}

/** What ends comes before what begins at the same time: it made room. */
const RANK: Readonly<Record<Moment['kind'], number>> = { settle: 0, decide: 1, place: 2 };

/** At one time, what ends comes first, and moments of one kind in the order of the records. Nothing is placed before it was decided, or settled before it was placed, whatever clocks said. */
export function timeline(records: readonly DecisionRecord[]): readonly Moment[] {
  const moments = records.flatMap((record, index): readonly Moment[] => {
    const decided = microsecondsOf(record.decidedAt);
    const { placed, settled } = held(record);
    const place = Math.max(decided, placed ?? decided);
    const settle = Math.max(place + 1, settled ?? microsecondsOf(record.endedAt));
    return [
      { kind: 'decide', index, at: decided },
      { kind: 'place', index, at: place },
      { kind: 'settle', index, at: settle },
    ];
  });
  return moments.sort((a, b) => a.at - b.at || RANK[a.kind] - RANK[b.kind]);
}

function held({ holds }: DecisionRecord): { readonly placed?: number; readonly settled?: number } {
  const [first, ...others] = holds.map(({ placedAt }) => microsecondsOf(placedAt));
  const ends = holds.flatMap(({ kind, settledAt }) =>
    kind === 'rate' || settledAt === undefined ? [] : [microsecondsOf(settledAt)],
  );
  return {
    ...(first === undefined ? {} : { placed: Math.min(first, ...others) }),
    ...(ends.length === 0 ? {} : { settled: Math.max(...ends) }),
  };
}
