/** What recorded actions hold under the recorded policy and under the candidate. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord, RecordedHold } from '../../../src/action/decision-record.js';
import type { LimitDemand } from '../../../src/action/limits.js';
import type { Counters } from '../../../src/policy/backtest/counters.js';
import { Holdings } from '../../../src/policy/backtest/holdings.js';
import type { ResolvedLimit } from '../../../src/policy/index.js';
import { recordOf, holdOf } from './records.js';

describe('what recorded actions hold in both worlds', () => {
  const limit = (
    amount: number,
    more: Partial<ResolvedLimit> = {},
    kind: 'budget' | 'breaker' = 'budget',
  ): ResolvedLimit => ({
    demand:
      kind === 'budget'
        ? { limit: 'l', key: 'k', kind, amount, max: 10, unit: 'EUR' }
        : { limit: 'l', key: 'k', kind, windowMs: 1, minimum: 1, ratio: 1, openMs: 1, probes: 1 },
    atLimit: { kind: 'deny' },
    label: 'l',
    ...more,
  });
  /** What each world was told, in order. */
  function went(record: DecisionRecord, plan: Parameters<Holdings['plan']>[1]): string[] {
    const told: string[] = [];
    const world = (name: string) =>
      ({
        place: (_tenant: string, _action: string, demand: LimitDemand) =>
          void told.push(`${name} place ${'amount' in demand ? demand.amount : demand.kind}`),
        settle: (_tenant: string, _action: string, _demand: LimitDemand, how: object) =>
          void told.push(`${name} settle ${JSON.stringify(how)}`),
        forget: () => void told.push(`${name} forget`),
      }) as unknown as Counters;
    const holdings = new Holdings({ recorded: world('then'), candidate: world('now') });
    holdings.place(record, 0);
    holdings.settle(record, 0);
    expect(told).toEqual([]);
    holdings.plan(record, plan);
    holdings.place(record, 0);
    holdings.settle(record, 1);
    const done = told.length;
    holdings.settle(record, 2);
    expect(told.length).toBe(done);
    return told.filter((line) => !line.endsWith('forget'));
  }

  test('is what was recorded, in both where both ask alike', () => {
    expect(
      went(recordOf({ holds: [holdOf({ amount: 3 })] }), { before: [limit(5)], now: [limit(5)], happens: true }),
    ).toEqual([
      'then place 5',
      'now place 5',
      'then settle {"disposition":"consume","spent":3}',
      'now settle {"disposition":"consume","spent":3}',
    ]);
    expect(
      went(recordOf({ holds: [holdOf({ status: 'released' })] }), {
        before: [limit(5)],
        now: [limit(5)],
        happens: true,
      }).slice(2),
    ).toEqual(['then settle {"disposition":"release"}', 'now settle {"disposition":"release"}']);
    for (const status of ['held', 'kept'] as const)
      expect(
        went(recordOf({ holds: [holdOf({ status })] }), { before: [limit(5)], now: undefined, happens: true }),
      ).toEqual(['then place 5', 'then settle {"disposition":"keep"}']);
  });

  test('is nothing then where nothing was recorded, and nothing now where it does not happen', () => {
    expect(went(recordOf(), { before: [limit(5)], now: [limit(5)], happens: false })).toEqual([]);
    expect(went(recordOf({ holds: [holdOf()] }), { before: undefined, now: [limit(5)], happens: false })).toEqual([]);
    expect(
      went(recordOf({ holds: [holdOf({ key: 'other' })] }), { before: [limit(5)], now: [limit(5)], happens: false }),
    ).toEqual([]);
  });

  test('is settled by how it ended, where the candidate asks otherwise', () => {
    const now = (more: Partial<DecisionRecord>, own = limit(6)) =>
      went(recordOf({ holds: [holdOf()], ...more }), { before: [limit(5)], now: [own], happens: true }).at(-1);
    expect(now({})).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ status: 'failed' })).toBe('now settle {"disposition":"release","result":"bad"}');
    expect(now({ status: 'failed', attempted: false })).toBe('now settle {"disposition":"release"}');
    expect(now({ status: 'unknown' })).toBe('now settle {"disposition":"keep","result":"bad"}');
    expect(now({ status: 'mismatch' })).toBe('now settle {"disposition":"consume","result":"bad"}');
    const settled = limit(6, { settled: (result) => Number(result) * 2 });
    expect(now({ result: 4 }, settled)).toBe('now settle {"disposition":"consume","result":"good","spent":8}');
    expect(now({}, settled)).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ result: 4, status: 'failed' }, settled)).toBe('now settle {"disposition":"release","result":"bad"}');
    const failing = limit(6, {
      settled: () => {
        throw new Error('no amount');
      },
    });
    expect(now({ result: 4 }, failing)).toBe('now settle {"disposition":"consume","result":"good"}');
  });

  test('is spent as it was asked for where there is no result, whatever would be spent of one', () => {
    const settled = limit(6, { settled: () => 8 });
    const now = (more: Partial<DecisionRecord>) =>
      went(recordOf({ holds: [holdOf()], ...more }), { before: [limit(5)], now: [settled], happens: true }).at(-1);
    expect(now({})).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(now({ result: null })).toBe('now settle {"disposition":"consume","result":"good","spent":8}');
  });

  test('is told apart by tenant, by action, and by limit, key and kind', () => {
    const told: string[] = [];
    const world = {
      place: (tenant: string, action: string, { limit: of, key }: LimitDemand) =>
        void told.push(`place ${tenant} ${action} ${of} ${key}`),
      settle: (tenant: string, action: string, { limit: of, key }: LimitDemand, how: object) =>
        void told.push(`settle ${tenant} ${action} ${of} ${key} ${JSON.stringify(how)}`),
      forget: () => undefined,
    } as unknown as Counters;
    const silent = { place: () => undefined, settle: () => undefined, forget: () => undefined } as unknown as Counters;
    const holdings = new Holdings({ recorded: world, candidate: silent });
    const asks = (of: string, key: string): ResolvedLimit => ({
      ...limit(5),
      demand: { limit: of, key, kind: 'budget', amount: 5, max: 10, unit: 'EUR' },
    });
    const records = [
      recordOf({ holds: [holdOf({ amount: 1 }), holdOf({ key: 'j', amount: 2 }), holdOf({ limit: 'm', amount: 3 })] }),
      recordOf({ tenant: 'other', holds: [holdOf({ amount: 4 })] }),
      recordOf({ actionId: 'b', holds: [holdOf({ amount: 5 })] }),
    ];
    for (const record of records)
      holdings.plan(record, { before: [asks('l', 'k'), asks('l', 'j'), asks('m', 'k')], now: [], happens: true });
    for (const record of records) holdings.place(record, 0);
    for (const record of records) holdings.settle(record, 1);
    const settled = (spent: number) => JSON.stringify({ disposition: 'consume', spent });
    expect(told).toEqual([
      'place acme a l k',
      'place acme a l j',
      'place acme a m k',
      'place other a l k',
      'place acme b l k',
      `settle acme a l k ${settled(1)}`,
      `settle acme a l j ${settled(2)}`,
      `settle acme a m k ${settled(3)}`,
      `settle other a l k ${settled(4)}`,
      `settle acme b l k ${settled(5)}`,
    ]);
  });

  test('is spent as it was asked for, of what is newly allowed or never got anywhere', () => {
    expect(
      went(recordOf({ holds: [holdOf()] }), { before: undefined, now: [limit(5)], happens: true, newly: true }).at(-1),
    ).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(
      went(recordOf({ status: 'denied', attempted: false }), { before: undefined, now: [limit(5)], happens: true }),
    ).toEqual(['now place 5', 'now settle {"disposition":"consume"}']);
  });

  test('is told to breakers as a good end of what is newly allowed, whatever became of it then', () => {
    const denied = recordOf({ status: 'denied', attempted: false });
    const plan = { before: undefined, now: [limit(0, {}, 'breaker')], happens: true };
    expect(went(denied, { ...plan, newly: true }).at(-1)).toBe('now settle {"disposition":"consume","result":"good"}');
    expect(went(denied, plan).at(-1)).toBe('now settle {"disposition":"consume"}');
    // What was given up is neither good nor bad.
    expect(went(recordOf({ status: 'cancelled' }), plan).at(-1)).toBe('now settle {"disposition":"release"}');
  });

  test('is settled by how it ended, where nothing was held then, or it is not known what was asked', () => {
    const asks = { now: [limit(5)], happens: true };
    expect(went(recordOf(), { ...asks, before: [limit(5)] })).toEqual([
      'now place 5',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
    expect(went(recordOf({ holds: [holdOf({ amount: 3 })] }), { ...asks, before: undefined })).toEqual([
      'now place 5',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
  });

  test('of a breaker is told how it ended, if it was told then', () => {
    const breaker = limit(0, {}, 'breaker');
    const of = (more: Partial<RecordedHold>, record: Partial<DecisionRecord> = {}) =>
      went(recordOf({ holds: [holdOf({ kind: 'breaker', ...more })], ...record }), {
        before: [breaker],
        now: [breaker],
        happens: true,
      }).slice(2);
    expect(of({})).toEqual([
      'then settle {"disposition":"consume","result":"good"}',
      'now settle {"disposition":"consume","result":"good"}',
    ]);
    expect(of({ status: 'released' })).toEqual([
      'then settle {"disposition":"consume"}',
      'now settle {"disposition":"consume"}',
    ]);
    expect(of({}, { status: 'failed', attempted: false })[0]).toBe('then settle {"disposition":"consume"}');
  });
});
