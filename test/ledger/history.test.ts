/** History in the ledger: what earlier actions came to, read within bounds, and checked with the grant so that no two actions pass that exclude each other. */
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HistoryCheck, HistoryClaim, HistoryQuery } from '../../src/action/history.js';
import { digestText } from '../../src/action/json.js';
import type { OutcomeStatus } from '../../src/action/outcome.js';
import type { Admission, Ledger } from '../../src/ledger/index.js';
import { HistoryMarks } from '../../src/policy/backtest/histories.js';
import { until } from '../support/until.js';
import { spend } from './limit-tenant.js';
import {
  admission,
  newTenant,
  outcomeFor,
  recordOutcome,
  settlement,
  startLedger,
  times,
  type TestLedger,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

const DAY = 86_400_000;
const mark = (name: string): string => digestText(name);

function query(name: string, more: Partial<HistoryQuery> = {}): HistoryQuery {
  const marks = [mark(name)];
  return { fact: name, certain: marks, possible: marks, withinMs: DAY, outcomes: ['success'], ...more };
}

/** At most one of the name. */
function once(name: string): HistoryClaim {
  return { checks: [{ ...query(name), possibleIn: [0, 0] }], marks: [mark(name)] };
}

/** None of one name, for what leaves another. */
function excluding(asked: string, left: string): HistoryClaim {
  return { checks: [{ ...query(asked), possibleIn: [0, 0] }], marks: [mark(left)] };
}

function admit(tenant: string, actionId: string, history: HistoryClaim, worker = ledger): Promise<Admission> {
  return worker.actions.admit(admission({ tenant, actionId }, { history }));
}

async function end(tenant: string, actionId: string, status: OutcomeStatus): Promise<void> {
  const names = { tenant, actionId };
  await recordOutcome(ledger, settlement(names, { outcome: outcomeFor(names, { status }) }));
}

async function read(tenant: string, actionId: string, ...queries: readonly HistoryQuery[]) {
  return (await ledger.limits.readWithHistory(tenant, actionId, [], queries)).history;
}

describe('what is read', () => {
  test('an action counts as under way, then by its outcome; what is unknown may have been', async () => {
    const tenant = newTenant();
    const counts = async (): Promise<readonly number[]> => {
      const [reading] = await read(tenant, 'asks', query('refund'));
      return [reading?.done ?? -1, reading?.underWay ?? -1, reading?.possible ?? -1];
    };
    const found: (readonly number[])[] = [await counts()];
    for (const status of ['success', 'failed', 'unknown', 'mismatch', 'denied'] as const) {
      await admit(tenant, status, { checks: [], marks: [mark('refund')] });
      found.push(await counts());
      await end(tenant, status, status);
      found.push(await counts());
    }
    expect(found).toEqual([
      [0, 0, 0],
      [0, 1, 1],
      [1, 0, 1],
      [1, 1, 2],
      [1, 0, 1],
      [1, 1, 2],
      [1, 0, 2],
      [1, 1, 3],
      [1, 0, 3],
      [1, 1, 4],
      [1, 0, 3],
    ]);
    expect(await read(tenant, 'asks', query('refund', { outcomes: ['failed'] }))).toMatchObject([
      { done: 1, possible: 2 },
    ]);
    expect(await read(tenant, 'success', query('refund'))).toMatchObject([{ done: 0, possible: 2 }]);
    expect(await read(newTenant(), 'asks', query('refund'))).toMatchObject([{ done: 0, possible: 0 }]);
    await at.pool.query(`update countersign.history_marks set at = at - interval '2 days' where tenant = $1`, [tenant]);
    expect(await counts()).toEqual([0, 0, 0]);
  });

  test('of a mark that thousands left only the newest are looked at, by the index, and all of them are possible', async () => {
    const tenant = newTenant();
    await at.pool.query(
      `with made as (
         insert into countersign.actions (tenant, action_id, digest, tool)
         select $1, 'old-' || n, $2, 'tool' from generate_series(1, 5000) n returning action_id
       ) insert into countersign.history_marks (tenant, mark, action_id) select $1, $2, action_id from made`,
      [tenant, mark('many')],
    );
    expect(await read(tenant, 'asks', query('many'))).toEqual([
      { fact: 'many', done: 0, underWay: 100, possible: 100 },
    ]);
    const { rows } = await at.pool.query(
      `explain (format json) select action_id from countersign.history_marks
       where tenant = 'a' and mark = 'b' and at > now() order by at desc limit 201`,
    );
    expect(JSON.stringify(rows)).toContain('history_marks_in_time');
  });
});

describe('at the grant', () => {
  test('of forty at once that each allow no other, one is granted; another tenant is not in its way', async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const workers = [ledger, await at.another(), await at.another({ poolSize: 20 })];
    const said = await times(40, (n) => admit(tenant, `refund-${n}`, once('order-7'), workers[n % 3]));
    expect(said.filter(({ kind }) => kind === 'admitted')).toHaveLength(1);
    expect(said.filter(({ kind }) => kind === 'changed')).toHaveLength(39);
    expect(await read(tenant, 'asks', query('order-7'))).toMatchObject([{ underWay: 1, possible: 1 }]);
    expect(await admit(other, 'refund', once('order-7'))).toMatchObject({ kind: 'admitted' });
    const { rows } = await at.pool.query('select count(*)::int as n from countersign.grants where tenant = $1', [
      tenant,
    ]);
    expect(rows).toEqual([{ n: 1 }]);
  });

  test('two that exclude each other by different marks never both pass, and none waits in a circle', async () => {
    const workers = [ledger, await at.another(), await at.another()];
    await times(30, async (n) => {
      const tenant = newTenant();
      const said = await Promise.all([
        admit(tenant, 'reads', excluding('calls', 'reads'), workers[n % 3]),
        admit(tenant, 'calls', excluding('reads', 'calls'), workers[(n + 1) % 3]),
      ]);
      expect(said.filter(({ kind }) => kind === 'admitted')).toHaveLength(1);
    });
  });

  /** Both wait at a counter that the test keeps locked: so both have read what came before when neither is granted yet. */
  test.each([
    ['that allow no other of their kind', once('order'), once('order')],
    ['that exclude each other', excluding('calls', 'reads'), excluding('reads', 'calls')],
  ] as const)('of two %s, and that are looked at in the same instant, one is granted', async (_, one, other) => {
    const tenant = newTenant();
    const holds = [spend(1, { max: 100 })];
    await ledger.actions.admit(admission({ tenant, actionId: 'before' }, { holds }));
    const keeper = await at.pool.connect();
    await keeper.query('begin');
    await keeper.query('select from countersign.limit_counters where tenant = $1 for update', [tenant]);
    const said = [
      ledger.actions.admit(admission({ tenant, actionId: 'one' }, { history: one, holds })),
      (await at.another()).actions.admit(admission({ tenant, actionId: 'other' }, { history: other, holds })),
    ];
    await until(
      async () =>
        (
          await at.pool.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
          )
        ).rowCount,
      (waiting) => waiting === 2,
    );
    await keeper.query('commit');
    keeper.release();
    expect((await Promise.all(said)).map(({ kind }) => kind).sort()).toEqual(['admitted', 'changed']);
  });

  test('with holds on one counter, whoever asks for other marks in another order neither overspends nor waits in a circle', async () => {
    const tenant = newTenant();
    const workers = [ledger, await at.another(), await at.another({ poolSize: 20 })];
    const said = await times(60, (n) =>
      (workers[n % 3] as Ledger).actions.admit(
        admission(
          { tenant, actionId: `a-${n}` },
          { history: once(`order-${n % 20}`), holds: [spend(7, { max: 100 })] },
        ),
      ),
    );
    const kinds = said.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'admitted')).toHaveLength(14);
    expect(kinds.every((kind) => kind === 'admitted' || kind === 'changed' || kind === 'limited')).toBe(true);
    const holds = await ledger.limits.holds({ tenant });
    const { rows } = await at.pool.query('select count(*)::int as n from countersign.history_marks where tenant = $1', [
      tenant,
    ]);
    // What was refused for one reason has left nothing of the other.
    expect([holds.length, rows[0]?.n]).toEqual([14, 14]);
  });

  test('what has moved within what the decision relied on does not matter; what has moved beyond does', async () => {
    const tenant = newTenant();
    const check = (more: Partial<HistoryCheck>): HistoryClaim => ({
      checks: [{ ...query('test'), ...more }],
      marks: [],
    });
    expect((await admit(tenant, 'deploy', check({ doneIn: [1, 100] }))).kind).toBe('changed');
    await admit(tenant, 'test', { checks: [], marks: [mark('test')] });
    expect((await admit(tenant, 'deploy', check({ doneIn: [1, 100] }))).kind).toBe('changed');
    await end(tenant, 'test', 'success');
    expect((await admit(tenant, 'deploy', check({ doneIn: [1, 100], possibleIn: [0, 4] }))).kind).toBe('admitted');
    expect((await admit(tenant, 'another', check({ doneIn: [0, 0] }))).kind).toBe('changed');
  });

  test('an action that is granted again does not stand in its own way', async () => {
    const tenant = newTenant();
    const again = [await admit(tenant, 'refund', once('order')), await admit(tenant, 'refund', once('order'))];
    expect(again).toMatchObject([{ kind: 'admitted' }, { kind: 'admitted' }]);
    await end(tenant, 'refund', 'failed');
    expect((await admit(tenant, 'next', once('order'))).kind).toBe('admitted');
  });

  test('a mark is kept: what could be forgotten could be done again', async () => {
    await expect(at.pool.query('delete from countersign.history_marks')).rejects.toThrow(/refuses DELETE/);
  });
});

test('in memory, by which a backtest counts, whatever happens in whatever order reads the same', async () => {
  const names = ['x', 'y'] as const;
  const step = fc.record({
    action: fc.integer({ min: 0, max: 5 }).map((n) => `a-${n}`),
    marks: fc.subarray([...names], { minLength: 1 }),
    ends: fc.option(fc.constantFrom<OutcomeStatus>('success', 'failed', 'unknown', 'mismatch', 'denied'), {
      nil: undefined,
    }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const tenant = newTenant();
      const model = new HistoryMarks();
      const ended = new Set<string>();
      let now = 0;
      for (const { action, marks, ends } of steps) {
        const left = marks.map(mark);
        if (!ended.has(action)) {
          await admit(tenant, action, { checks: [], marks: left });
          model.leave(tenant, action, left, ++now);
          if (ends !== undefined) {
            await end(tenant, action, ends);
            model.end(tenant, action, ends);
            ended.add(action);
          }
        }
        const queries = [
          query('x'),
          query('y', { certain: [], possible: names.map(mark), outcomes: ['failed'] }),
          query('x', { certain: [mark('x')], possible: names.map(mark), outcomes: ['success', 'mismatch'] }),
        ];
        deepStrictEqual(
          queries.map((one) => model.read(tenant, action, one, now)),
          await read(tenant, action, ...queries),
        );
      }
    }),
    { numRuns: 15 },
  );
});
