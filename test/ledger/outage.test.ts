/** What happens when Postgres is away, goes away, or takes an answer with it. */
import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { startPostgres } from '../../src/dev/postgres.js';
import { temporaryFolder } from '../../src/dev/temporary-folder.js';
import { Ledger, type Settled, type SignReceipt } from '../../src/ledger/index.js';
import { startProxy, type Proxy } from './proxy.js';
import {
  admission,
  collect,
  endConnections,
  newTenant,
  recordOutcome,
  settlement,
  signLink,
  someoneWaitsForLock,
  startLedger,
  type TestLedger,
  times,
  useOf,
  wholeChain,
} from './support.js';

const SECRET = 's3cr3t-Pa55';

async function failure(work: Promise<unknown>): Promise<CountersignError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CountersignError)) throw error as Error;
  return error;
}

/** Everything of an error that a logger could find, its causes too. */
function everythingIn(error: unknown): string {
  const seen: unknown[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    seen.push(at.message, at.stack, JSON.stringify(at), ...Object.values(at).map(String));
    if (at instanceof AggregateError) seen.push(...at.errors.map(everythingIn));
  }
  return seen.join('\n');
}

describe('a ledger that cannot be reached', () => {
  test('on a closed port every call is LEDGER_UNAVAILABLE, at once, without the password', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const ledger = await Ledger.connect({ url: `postgres://dana:${SECRET}@127.0.0.1:${port}/db` });
    const names = { tenant: 'acme', actionId: 'a-1' };
    const start = performance.now();
    const failures = await Promise.all(
      [
        ledger.health(),
        ledger.migrate(),
        ledger.pendingMigrations(),
        ledger.actions.find('acme', 'a-1'),
        ledger.actions.admit(admission(names)),
        ledger.grants.use(useOf(admission(names))),
        recordOutcome(ledger, settlement(names)),
        ledger.receipts.append({ ...names, sign: signLink }),
        ledger.controls.freezes(),
        ledger.controls.freeze({ tenant: 'acme', scope: { kind: 'all' }, reason: 'r', by: 'b' }),
        collect(ledger.receipts.list('acme')),
        collect(ledger.actions.listEnded('acme')),
      ].map(failure),
    );
    expect(performance.now() - start).toBeLessThan(20_000);
    for (const error of failures) {
      expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
      expect(error.message).toContain(`127.0.0.1:${port}/db`);
      expect(everythingIn(error)).not.toContain(SECRET);
    }
    await ledger.close();
  });

  test('a server that takes the connection and says nothing is given up when the time is over', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ledger = await Ledger.connect({
      url: `postgres://dana:${SECRET}@127.0.0.1:${port}/db`,
      connectTimeoutMs: 300,
    });
    const start = performance.now();
    const error = await failure(ledger.actions.admit(admission({ tenant: 'acme', actionId: 'a-1' })));
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
    expect(everythingIn(error)).not.toContain(SECRET);
    await ledger.close();
    server.close();
  });

  test('a host that does not resolve is LEDGER_UNAVAILABLE', async () => {
    const ledger = await Ledger.connect({ url: `postgres://dana:${SECRET}@no-such-host.invalid/db` });
    const error = await failure(ledger.receipts.head('acme'));
    expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
    expect(everythingIn(error)).not.toContain(SECRET);
    await ledger.close();
  });

  test.each([
    `mysql://dana:${SECRET}@host/db`,
    `postgres://dana:${SECRET}/x@host/db`,
    `postgres://dana:12#${SECRET}@host/db`,
    `postgres://dana:${SECRET}@host:99999/db`,
    `host=localhost password=${SECRET}`,
    '',
  ])('an address that is none is refused without being repeated (%#)', async (url) => {
    const error = await failure(Ledger.connect({ url }));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', field: 'ledger.url' });
    expect(everythingIn(error)).not.toContain(SECRET);
  });
});

describe('a ledger that goes away', () => {
  let at: TestLedger;
  let ledger: Ledger;

  beforeAll(async () => {
    at = await startLedger({ statementTimeoutMs: 2000 });
    ledger = at.ledger;
  });
  afterAll(() => at.stop());

  test('a wrong password or database is LEDGER_UNAVAILABLE and not repeated', async () => {
    const wrong = new URL(at.url);
    wrong.password = SECRET;
    const absent = new URL(at.url);
    absent.pathname = '/no_such_database';
    for (const url of [wrong.href, absent.href]) {
      const other = await Ledger.connect({ url });
      const error = await failure(other.receipts.head('acme'));
      expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', fix: expect.stringContaining('Correct') });
      expect(everythingIn(error)).not.toContain(SECRET);
      expect(everythingIn(error)).not.toContain(new URL(at.url).password);
      await other.close();
    }
  });

  test('when all connections are cut while idle, the next call of each kind works, and so do many at once', async () => {
    const tenant = newTenant();
    await times(20, (index) => ledger.actions.admit(admission({ tenant, actionId: `warm-${index}` })));
    const calls: ((index: number) => Promise<unknown>)[] = [
      (index) => ledger.actions.admit(admission({ tenant, actionId: `a-${index}` })),
      (index) => recordOutcome(ledger, settlement({ tenant, actionId: `warm-${index}` })),
      () => ledger.receipts.append({ tenant, actionId: 'refused', sign: signLink }),
      () => ledger.actions.find(tenant, 'warm-1'),
      () => ledger.controls.freezes(),
      () => ledger.health(),
      () => times(20, (index) => recordOutcome(ledger, settlement({ tenant, actionId: `many-${index}` }))),
    ];
    for (const [index, call] of calls.entries()) {
      expect(await endConnections(at.pool)).toBeGreaterThan(0);
      await call(index);
    }
    expect(await wholeChain(ledger, tenant)).toHaveLength(22);
  });

  test('when the connection dies between lock and commit, the settling is made again, once', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    let signed = 0;
    let cut = 0;
    const sign: SignReceipt = async (link) => {
      if (++signed === 1) cut = await endConnections(at.pool);
      return await signLink(link);
    };
    const { outcome, recorded } = await recordOutcome(ledger, settlement(names, { sign }));
    expect({ signed, recorded, seq: outcome.receipt?.seq }).toEqual({ signed: 2, recorded: false, seq: 1 });
    expect(cut).toBeGreaterThan(0);
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
  });

  test('when it dies each time, the call fails, the chain is free and whole, and the action is open', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    const sign: SignReceipt = async (link) => {
      await endConnections(at.pool);
      return await signLink(link);
    };
    expect(await failure(recordOutcome(ledger, settlement(names, { sign })))).toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      retryable: true,
    });
    expect(await ledger.actions.find(names.tenant, 'a-1')).toMatchObject({ status: 'open' });
    expect((await recordOutcome(ledger, settlement(names))).outcome.receipt?.seq).toBe(1);
  });

  test('a worker killed in the middle of its transaction leaves no trace in the chain, and holds nobody up', async () => {
    const tenant = newTenant();
    await recordOutcome(ledger, settlement({ tenant, actionId: 'a-1' }));
    const victim = new pg.Client({ connectionString: at.url, application_name: 'victim' });
    victim.on('error', () => {});
    await victim.connect();
    await victim.query('begin');
    await victim.query('select 1 from countersign.chains where tenant = $1 for update', [tenant]);
    await victim.query(
      `insert into countersign.receipts (tenant, seq, prev, hash, jws, action_id)
       select tenant, seq + 1, hash, 'sha256:' || encode(sha256('half'), 'hex'), 'half', 'lost' from countersign.chains where tenant = $1`,
      [tenant],
    );
    const settling = recordOutcome(ledger, settlement({ tenant, actionId: 'a-2' }));
    await someoneWaitsForLock(at.pool);
    await at.pool.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'victim'`,
    );
    expect((await settling).outcome.receipt?.seq).toBe(2);
    expect((await wholeChain(ledger, tenant)).map((receipt) => receipt.actionId)).toEqual(['a-1', 'a-2']);
  });

  test('a chain that somebody holds too long fails the call by the statement timeout, not the worker', async () => {
    const tenant = newTenant();
    await recordOutcome(ledger, settlement({ tenant, actionId: 'a-1' }));
    const holder = await at.pool.connect();
    await holder.query('begin');
    await holder.query('select 1 from countersign.chains where tenant = $1 for update', [tenant]);
    expect(await failure(recordOutcome(ledger, settlement({ tenant, actionId: 'a-2' })))).toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining('in time'),
    });
    await holder.query('rollback');
    holder.release();
    expect((await recordOutcome(ledger, settlement({ tenant, actionId: 'a-2' }))).outcome.receipt?.seq).toBe(2);
  });

  test('a worker that stops with the chain in its hands loses it when its time is over', async () => {
    const tenant = newTenant();
    const stalled = await at.another({ statementTimeoutMs: 300 });
    let signed = 0;
    let other: Promise<Settled> | undefined;
    const sign: SignReceipt = async (link) => {
      // Holds the chain until somebody else could settle: the server must have taken it away.
      if (++signed === 1) await (other = recordOutcome(ledger, settlement({ tenant, actionId: 'a-2' })));
      return await signLink(link);
    };
    const { outcome } = await recordOutcome(stalled, settlement({ tenant, actionId: 'a-1' }, { sign }));
    expect((await other)?.outcome.receipt?.seq).toBe(1);
    expect(outcome.receipt?.seq).toBe(2);
    expect(signed).toBe(2);
    expect(await wholeChain(ledger, tenant)).toHaveLength(2);
  });

  test('after close, calls are refused and closing again is fine', async () => {
    const other = await at.another();
    await other.receipts.head('acme');
    await Promise.all([other.close(), other.close()]);
    await other.close();
    expect(await failure(other.receipts.head('acme'))).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    expect(await failure(recordOutcome(other, settlement({ tenant: 'acme', actionId: 'a' })))).toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
    });
  });

  test('closing waits for the transaction under way', async () => {
    const tenant = newTenant();
    const other = await at.another();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    let entered = (): void => {};
    const signing = new Promise<void>((resolve) => (entered = resolve));
    const sign: SignReceipt = async (link) => {
      entered();
      await released;
      return await signLink(link);
    };
    const settling = recordOutcome(other, settlement({ tenant, actionId: 'a-1' }, { sign }));
    await signing;
    const closing = other.close();
    release();
    expect((await settling).outcome.receipt?.seq).toBe(1);
    await closing;
    expect(await wholeChain(ledger, tenant)).toHaveLength(1);
  });
});

describe('replies that are lost', () => {
  let at: TestLedger;
  let proxy: Proxy;
  let ledger: Ledger;

  beforeAll(async () => {
    at = await startLedger();
    proxy = await startProxy(at.url);
    ledger = await Ledger.connect({ url: proxy.url, poolSize: 1 });
  });
  afterAll(async () => {
    await ledger.close();
    await proxy.close();
    await at.stop();
  });

  test('a settling whose commit happened but was not heard of is found, not made twice', async () => {
    const names = { tenant: newTenant(), actionId: 'a-1' };
    await ledger.actions.admit(admission(names));
    const cuts = proxy.cuts;
    proxy.loseReplyTo('COMMIT');
    const { outcome, recorded } = await recordOutcome(ledger, settlement(names));
    expect(proxy.cuts).toBe(cuts + 1);
    expect(recorded).toBe(true);
    expect(outcome.receipt?.seq).toBe(1);
    expect(await wholeChain(ledger, names.tenant)).toHaveLength(1);
  });

  test('a use that happened but was not heard of counts as used before, not as unused', async () => {
    const request = admission({ tenant: newTenant(), actionId: 'a-1' });
    await ledger.actions.admit(request);
    proxy.loseReplyTo('SELECT');
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'again', otherUses: 0 });
    expect(await ledger.grants.use(useOf(request, 'other'))).toMatchObject({ kind: 'replayed' });
  });

  test('an admission that happened but was not heard of is admitted, with its one grant', async () => {
    const request = admission({ tenant: newTenant(), actionId: 'a-1' });
    const cuts = proxy.cuts;
    proxy.loseReplyTo('SELECT');
    expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
    expect(proxy.cuts).toBe(cuts + 1);
    expect(await ledger.grants.use(useOf(request))).toMatchObject({ kind: 'first', otherUses: 0 });
  });
});

test('a server that falls silent is given up when the time is over, and the next call goes another way', async () => {
  const at = await startLedger();
  const proxy = await startProxy(at.url);
  const ledger = await Ledger.connect({ url: proxy.url, poolSize: 1, statementTimeoutMs: 300, connectTimeoutMs: 400 });
  const tenant = newTenant();
  for (const call of [
    () => ledger.actions.admit(admission({ tenant, actionId: 'a-1' })),
    () => recordOutcome(ledger, settlement({ tenant, actionId: 'a-1' })),
    () => ledger.controls.freezes(),
  ]) {
    await ledger.receipts.head(tenant);
    proxy.silence();
    const start = performance.now();
    expect(await failure(call())).toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
    expect(performance.now() - start).toBeLessThan(20_000);
    await recordOutcome(ledger, settlement({ tenant, actionId: 'after' }));
  }
  expect(await wholeChain(ledger, tenant)).toHaveLength(1);
  await ledger.close();
  await proxy.close();
  await at.stop();
});

test('admitting, with holds or without, using, reading limits and settling take one round trip; settling where others write takes three', async () => {
  const at = await startLedger();
  const proxy = await startProxy(at.url, 60);
  const ledger = await Ledger.connect({ url: proxy.url, poolSize: 1 });
  const tenant = newTenant();
  const measure = async (work: () => Promise<unknown>): Promise<number> => {
    proxy.takeRoundTrips();
    await work();
    return proxy.takeRoundTrips();
  };
  const holds = [
    { limit: 'spend', key: '', kind: 'budget' as const, amount: 5, max: 100, unit: 'EUR' },
    { limit: 'calls', key: 'agent=a', kind: 'rate' as const, capacity: 10, refillMs: 1000 },
  ];
  const act = async (actionId: string): Promise<number[]> => {
    const request = admission({ tenant, actionId });
    return [
      await measure(() => ledger.actions.admit(request)),
      await measure(() => ledger.limits.read(tenant, actionId, holds)),
      await measure(() => ledger.actions.admit(admission(request, { holds }))),
      await measure(() => ledger.grants.use(useOf(request))),
      await measure(() => recordOutcome(ledger, settlement(request))),
    ];
  };
  // The first of a tenant also makes its chain; the first of a connection also connects.
  await act('a-1');
  expect(await act('a-2')).toEqual([1, 1, 1, 1, 1]);
  // Another worker was at the chain: one round trip to see that, and two under the lock. After that it is two at once.
  await recordOutcome(at.ledger, settlement({ tenant, actionId: 'elsewhere' }));
  expect(await act('a-3')).toEqual([1, 1, 1, 1, 3]);
  expect(await act('a-4')).toEqual([1, 1, 1, 1, 2]);
  await ledger.close();
  await proxy.close();
  await at.stop();
});

test('a server that is killed and comes back has every outcome that was settled', async () => {
  const folder = await temporaryFolder('ledger-crash');
  // The server's user must be able to pass through.
  await chmod(folder.path, 0o711);
  const { DATABASE_URL: _, ...env } = process.env;
  let server = await startPostgres({ dataDir: folder.path, env });
  const port = Number(new URL(server.url).port);
  const ledger = await Ledger.connect({ url: server.url });
  await ledger.migrate();
  const settled: string[] = [];
  const first = Promise.allSettled(
    Array.from({ length: 60 }, async (_, index) => {
      const { outcome } = await recordOutcome(ledger, settlement({ tenant: 'acme', actionId: `a-${index}` }));
      settled.push(outcome.actionId);
      if (settled.length === 20) await server.kill();
    }),
  );
  const failed = (await first).filter((end) => end.status === 'rejected');
  expect(failed.length).toBeGreaterThan(0);
  for (const end of failed) expect(end.reason).toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });

  server = await startPostgres({ dataDir: folder.path, port, env });
  const kept = (await collect(ledger.actions.listEnded('acme'))).map((action) => action.actionId);
  expect(kept).toEqual(expect.arrayContaining(settled));
  await times(60, (index) => recordOutcome(ledger, settlement({ tenant: 'acme', actionId: `a-${index}` })));
  expect(await wholeChain(ledger, 'acme')).toHaveLength(60);
  await ledger.close();
  await server.stop();
  await folder.remove();
});
