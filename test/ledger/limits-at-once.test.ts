/** Limits under many hands: clients that race, replies that are lost, rows that are locked, tables that have grown. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Ledger } from '../../src/ledger/index.js';
import { breaker, DAYS, lease, spend, Tenant, token } from './limit-tenant.js';
import { startProxy } from './proxy.js';
import {
  admission,
  newTenant,
  outcomeFor,
  recordOutcome,
  settlement,
  someoneWaitsForLock,
  startLedger,
  type TestLedger,
  times,
  useOf,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

describe('at once', () => {
  test('forty clients on one budget never overspend it, whatever becomes of their actions', async () => {
    const tenant = new Tenant(at);
    const workers = [ledger, await at.another(), await at.another({ poolSize: 20 })];
    let [admitted, most] = [0, 0];
    await times(40, async (lane) => {
      const worker = workers[lane % workers.length] as Ledger;
      for (let turn = 0; turn < 8; turn++) {
        const names = { tenant: tenant.name, actionId: `a-${lane}-${turn}` };
        const said = await worker.actions.admit(
          admission(names, { holds: [spend(7, { window: { kind: 'fixed', ms: 1000 * DAYS } })] }),
        );
        if (said.kind !== 'admitted') continue;
        admitted++;
        const [{ used, held } = { used: 0, held: 0 }] = await ledger.limits.counters({ tenant: tenant.name });
        most = Math.max(most, used + held);
        if (turn % 2 === 0)
          await recordOutcome(worker, settlement(names, { outcome: outcomeFor(names, { status: 'failed' }) }));
      }
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(100);
    expect(admitted).toBeGreaterThanOrEqual(14);
    const [{ used, held } = { used: -1, held: -1 }] = await ledger.limits.counters({ tenant: tenant.name });
    const live = await ledger.limits.holds({ tenant: tenant.name });
    expect([used, held]).toEqual([0, 7 * live.length]);
  });

  test('of five at once at 9.90 of 10, one gets the last 0.10', async () => {
    const tenant = new Tenant(at);
    const workers = [ledger, await at.another(), await at.another({ poolSize: 5 })];
    const max = { max: 10 };
    await tenant.admit('before', spend(9.9, max));
    await tenant.end('before', { disposition: 'consume' });
    const kinds = await Promise.all(
      [0, 1, 2, 3, 4].map(async (index) => {
        const names = { tenant: tenant.name, actionId: `last-${index}` };
        const worker = workers[index % workers.length] as Ledger;
        return (await worker.actions.admit(admission(names, { holds: [spend(0.1, max)] }))).kind;
      }),
    );
    expect(kinds.sort()).toEqual(['admitted', 'limited', 'limited', 'limited', 'limited']);
    expect(await tenant.sums()).toEqual({ spend: [9.9, 0.1] });
  });

  test('limits asked for in any order by anybody make no deadlock, and none is left with a part', async () => {
    const tenant = new Tenant(at);
    const workers = [ledger, await at.another({ poolSize: 20 })];
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const before = await deadlocks();
    await times(60, async (index) => {
      const worker = workers[index % 2] as Ledger;
      const order = names.map((_, n) => names[(n * (index % 5 === 0 ? 1 : 5) + index) % names.length] as string);
      const holds = order.map((limit) => ({ ...lease(20), limit, key: `k${index % 2}` }));
      const action = { tenant: tenant.name, actionId: `x-${index}` };
      await worker.actions.admit(admission(action, { holds: holds.slice(0, 2 + (index % 5)) }));
      await worker.actions.admit(admission(action, { holds: holds.slice(1) }));
      await recordOutcome(worker, settlement(action));
    });
    expect(await deadlocks()).toBe(before);
    for (const { held } of await ledger.limits.counters({ tenant: tenant.name })) expect(held).toBe(0);
    expect(await ledger.limits.holds({ tenant: tenant.name })).toEqual([]);
  });

  test('an action that gives back what it asked for before locks that in no transaction with others, who lock in order', async () => {
    const tenant = new Tenant(at);
    const [first, kept] = [
      { ...lease(20), limit: 'a' },
      { ...lease(20), limit: 'b' },
    ];
    const admit = (name: string, ...holds: (typeof first)[]) =>
      ledger.actions.admit(admission({ tenant: tenant.name, actionId: name }, { holds }));
    await admit('again', first, kept);
    const before = await deadlocks();
    const [inOrder, inTheWay] = [await at.pool.connect(), await at.pool.connect()];
    onTestFinished(() => [inOrder, inTheWay].forEach((client) => client.release(true)));
    const lock = (client: pg.PoolClient, limit: string) =>
      client.query('select from countersign.limit_counters where tenant = $1 and "limit" = $2 for update', [
        tenant.name,
        limit,
      ]);
    for (const client of [inOrder, inTheWay]) await client.query('begin');
    await lock(inTheWay, 'b');
    // These two come together, behind one that waits.
    const waits = admit('waits', kept);
    await someoneWaitsForLock(at.pool);
    const [other, again] = [admit('other', kept), admit('again', kept)];
    await lock(inOrder, 'a');
    await inTheWay.query('commit');
    await waits;
    await other;
    await lock(inOrder, 'b');
    await inOrder.query('commit');
    expect((await again).kind).toBe('admitted');
    expect(await deadlocks()).toBe(before);
  }, 20_000);

  test('one action admitted many times at once holds once', async () => {
    const tenant = new Tenant(at);
    const workers = [ledger, await at.another(), await at.another()];
    const holds = [spend(30), lease(2), token(5, 60_000)];
    const said = await times(20, (index) =>
      (workers[index % 3] as Ledger).actions.admit(admission({ tenant: tenant.name, actionId: 'a' }, { holds })),
    );
    expect(new Set(said.map(({ kind }) => kind))).toEqual(new Set(['admitted']));
    expect(await tenant.sums()).toEqual({ spend: [0, 30], 'at-once': [0, 1], calls: [1, 0] });
  });

  test('when the reply to an admission or a settling is lost, the retry doubles nothing', async () => {
    const tenant = new Tenant(at);
    const proxy = await startProxy(at.url);
    const other = await Ledger.connect({ url: proxy.url, poolSize: 1 });
    const holds = [spend(30), lease(2), token(5, 60_000)];
    await recordOutcome(other, settlement({ tenant: tenant.name, actionId: 'first' }));
    const request = admission({ tenant: tenant.name, actionId: 'a' }, { holds });
    proxy.loseReplyTo('SELECT');
    expect(await other.actions.admit(request)).toMatchObject({ kind: 'admitted' });
    expect(await tenant.sums()).toEqual({ spend: [0, 30], 'at-once': [0, 1], calls: [1, 0] });
    proxy.loseReplyTo('SELECT');
    const { recorded } = await recordOutcome(other, settlement(request, { holds: { disposition: 'consume' } }));
    expect([recorded, proxy.cuts]).toEqual([true, 2]);
    expect(await tenant.sums()).toEqual({ spend: [30, 0], 'at-once': [0, 0], calls: [1, 0] });
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'ended', otherUses: 0 });
    await other.close();
    await proxy.close();
  });

  test('one of many at once that cannot be written fails alone', async () => {
    const tenant = new Tenant(at);
    const said = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) =>
        ledger.actions.admit(
          admission(
            { tenant: tenant.name, actionId: `a-${index}` },
            { holds: [spend(10)], ...(index === 5 ? { agent: 'nul \u0000' } : {}) },
          ),
        ),
      ),
    );
    const told = said.map((one) => (one.status === 'fulfilled' ? one.value.kind : one.reason.code));
    expect(told.filter((one) => one === 'admitted')).toHaveLength(10);
    expect(told[5]).toBe('INVALID_TEXT');
    expect(told.filter((one) => one === 'limited')).toHaveLength(1);
    expect(await tenant.sums()).toEqual({ spend: [0, 100] });
  });

  test('when the reply to many at once is lost, none of them holds twice', async () => {
    const tenant = new Tenant(at);
    const proxy = await startProxy(at.url);
    const other = await Ledger.connect({ url: proxy.url, poolSize: 2 });
    await other.receipts.head(tenant.name);
    proxy.loseReplyTo('COMMIT');
    const said = await times(9, (index) =>
      other.actions.admit(
        admission({ tenant: tenant.name, actionId: `a-${index}` }, { holds: [spend(10), token(50, 60_000)] }),
      ),
    );
    expect(said.map(({ kind }) => kind)).toEqual(Array.from({ length: 9 }, () => 'admitted'));
    expect(proxy.cuts).toBe(1);
    expect(await tenant.sums()).toEqual({ spend: [0, 90], calls: [9, 0] });
    await other.close();
    await proxy.close();
  });

  test('a budget whose row is locked keeps nobody else of the worker from a connection', async () => {
    const tenant = new Tenant(at);
    const small = await at.another({ poolSize: 3 });
    await tenant.admit('first', spend(1));
    const client = await at.pool.connect();
    await client.query('begin');
    await client.query('select from countersign.limit_counters where tenant = $1 for update', [tenant.name]);
    const waiting = times(20, (index) =>
      small.actions.admit(admission({ tenant: tenant.name, actionId: `a-${index}` }, { holds: [spend(1)] })),
    );
    await someoneWaitsForLock(at.pool);
    await times(10, (index) => small.actions.admit(admission({ tenant: tenant.name, actionId: `free-${index}` })));
    await client.query('commit');
    client.release();
    expect(new Set((await waiting).map(({ kind }) => kind))).toEqual(new Set(['admitted']));
  });

  async function deadlocks(): Promise<number> {
    const { rows } = await at.pool.query(
      `select deadlocks::int as n from pg_stat_database where datname = current_database()`,
    );
    return rows[0].n;
  }
});

describe('the cost', () => {
  test('of reading, placing and settling does not grow with what is held or was: each row is found by its key', async () => {
    const other = await startLedger({ poolSize: 1 });
    // Everything in one tenant and on one limit, through one connection, whose plans were made while the tables were empty.
    const tenant = newTenant();
    const act = async (actionId: string): Promise<void> => {
      const names = { tenant, actionId };
      const holds = [spend(1, { max: 1e9 }), lease(1e6), breaker({ key: actionId })];
      await other.ledger.limits.read(tenant, actionId, holds);
      const request = admission(names, { holds });
      await other.ledger.actions.admit(request);
      await other.ledger.grants.use(useOf(request));
      await recordOutcome(other.ledger, settlement(names, { holds: { disposition: 'consume', result: 'good' } }));
    };
    // Twice, because the first settling of a tenant makes its chain, and the next does not.
    for (const actionId of ['first', 'second']) await act(actionId);
    await other.pool.query(
      `insert into countersign.actions (tenant, action_id, digest, agent, tool)
       select $1, 'live-' || n, 'sha256:' || repeat('0', 64), 'agent-1', 'shop-db' from generate_series(1, 20000) n`,
      [tenant],
    );
    await other.pool.query(
      `insert into countersign.holds (tenant, action_id, "limit", key, kind, amount, status, settled_at)
       select $1, 'live-' || n, 'spend', '', 'budget', 1, case when n % 2 = 0 then 'held' else 'consumed' end,
         case when n % 2 = 0 then null else now() end from generate_series(1, 20000) n`,
      [tenant],
    );
    await other.pool.query(
      `insert into countersign.grants (jti, tenant, action_id, agent, tool, expires_at)
       select 'live-' || n, $1, 'live-' || n, 'agent-1', 'shop-db', now() + interval '1 hour' from generate_series(1, 20000) n`,
      [tenant],
    );
    await act('last');
    // A connection's counts are in when it has ended.
    const read = `select (sum(idx_tup_read) filter (where indexrelname not like 'grants%')
        + (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'countersign'))::int as n
      from pg_stat_user_indexes where schemaname = 'countersign'`;
    const witness = new pg.Client({ connectionString: other.url });
    await witness.connect();
    await other.ledger.close();
    await other.pool.end();
    for (;;) {
      const { rows } = await witness.query(
        `select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      );
      if (rows.length === 0) break;
    }
    const { rows } = await witness.query(read);
    await witness.end();
    await other.drop();
    // Each of the inserted grants looked its action up.
    expect(rows[0].n).toBeGreaterThan(20_050);
    expect(rows[0].n).toBeLessThan(20_400);
  });
});
