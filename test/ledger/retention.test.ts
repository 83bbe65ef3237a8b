/** What nothing needs any more is forgotten, a bounded number at a time; what an invariant rests on stays. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Purged } from '../../activities/contract.js';
import { purge as purgeActivity } from '../../activities/purge.js';
import { digest } from '../../src/action/json.js';
import { purgeOptions, retentionSchema } from '../../src/config/retention.js';
import { setUpTables } from '../../src/gateway/store/set-up.js';
import { Database, RETENTION_KINDS, type RetentionKind } from '../../src/ledger/index.js';
import { postgres } from '../../src/tools/index.js';
import { waits } from './approval-request-fixtures.js';
import { breaker, lease, spend, Tenant, token } from './limit-tenant.js';
import {
  admission,
  grant,
  outcomeFor,
  recordOutcome,
  settlement,
  startLedger,
  useOf,
  wholeChain,
  type TestLedger,
} from './support.js';

const DAY_MS = 86_400_000;
const WINDOW = { window: { kind: 'fixed', ms: DAY_MS } };

let at: TestLedger;

beforeAll(async () => {
  at = await startLedger();
});
afterAll(() => at.stop());

/** Everything that the tenant has happened so many days earlier. */
async function age(tenant: string, days: number): Promise<void> {
  const columns = {
    actions: ['created_at', 'ended_at', 'resolved_at'],
    holds: ['placed_at', 'settled_at'],
    grants: ['issued_at', 'expires_at', 'used_at', 'returned_at'],
    snapshots: ['stored_at'],
    approval_requests: ['first_asked_at', 'asked_at', 'expires_at', 'closed_at'],
    limit_counters: ['updated_at'],
  };
  const client = await at.pool.connect();
  try {
    await client.query(`begin; set local session_replication_role = replica`);
    for (const [table, names] of Object.entries(columns)) {
      const set = names.map((name) => `${name} = ${name} - $2::int * interval '1 day'`).join(', ');
      await client.query(`update countersign.${table} set ${set} where tenant = $1`, [tenant, days]);
    }
    await client.query('commit');
  } finally {
    client.release();
  }
}

const purge = (kind: RetentionKind, days = 30, limit = 100): Promise<number> =>
  at.ledger.retention.purge(kind, { olderThanMs: days * DAY_MS, limit });

async function purgeAll(): Promise<Partial<Record<RetentionKind, number>>> {
  const gone: Partial<Record<RetentionKind, number>> = {};
  for (const kind of RETENTION_KINDS) gone[kind] = await purge(kind);
  return gone;
}

const NOTHING = { approvalRequests: 0, holds: 0, grants: 0, snapshots: 0, counters: 0, sessions: 0 };

/** An action that was asked about, held something, used a grant and kept a state. */
async function action(tenant: Tenant, actionId: string): Promise<ReturnType<typeof admission>> {
  const names = { tenant: tenant.name, actionId };
  await waits(at.ledger, names);
  const state = { orders: { [actionId]: { n: 1 } } };
  await at.ledger.content.putSnapshot(tenant.name, digest(state), state);
  const request = admission(names, { holds: [spend(1, WINDOW)], grant: grant() });
  await at.ledger.actions.admit(request);
  await at.ledger.grants.use(useOf(request));
  return request;
}

describe('of an action', () => {
  test('that ended long ago, what was asked, held, granted and captured goes; its outcome and receipt stay, and nothing can be done again', async () => {
    const tenant = new Tenant(at);
    const request = await action(tenant, 'a');
    await tenant.end('a', { disposition: 'consume' });
    expect(await purgeAll()).toEqual(NOTHING);
    await age(tenant.name, 29);
    expect(await purgeAll()).toEqual(NOTHING);
    await age(tenant.name, 2);
    expect(await purgeAll()).toMatchObject({ approvalRequests: 1, holds: 1, grants: 2, snapshots: 1 });
    expect(await purgeAll()).toEqual(NOTHING);

    const names = { tenant: tenant.name, actionId: 'a' };
    expect((await at.ledger.actions.find(tenant.name, 'a'))?.outcome).toMatchObject({ status: 'success' });
    expect(await wholeChain(at.ledger, tenant.name)).toHaveLength(1);
    expect(await recordOutcome(at.ledger, settlement(names))).toMatchObject({ recorded: true });
    expect(await at.ledger.actions.admit({ ...request, grant: grant() })).toMatchObject({ kind: 'ended' });
    expect((await at.ledger.grants.use(useOf(request, 'another'))).kind).not.toBe('first');
  });

  test('that is open, nothing goes, however old it is', async () => {
    const tenant = new Tenant(at);
    await action(tenant, 'open');
    await age(tenant.name, 1000);
    expect(await purgeAll()).toEqual(NOTHING);
  });

  test('that is unknown, nothing goes until a person resolved it', async () => {
    const tenant = new Tenant(at);
    await action(tenant, 'unknown');
    await tenant.end('unknown', { disposition: 'keep' });
    await age(tenant.name, 1000);
    expect(await purgeAll()).toEqual(NOTHING);
    await tenant.resolve('unknown', 'success');
    await age(tenant.name, 31);
    expect(await purgeAll()).toMatchObject({ approvalRequests: 1, holds: 1, grants: 2, snapshots: 1 });
  });

  test('a state stays that an action stored again since, and one that an older open action may need', async () => {
    const tenant = new Tenant(at);
    const state = { orders: { 1: { n: 1 } } };
    const store = () => at.ledger.content.putSnapshot(tenant.name, digest(state), state);
    await store();
    await age(tenant.name, 40);
    await store();
    expect(await purge('snapshots')).toBe(0);
    await age(tenant.name, 40);
    await at.ledger.actions.admit(admission({ tenant: tenant.name, actionId: 'open' }));
    await age(tenant.name, 40);
    await store();
    await age(tenant.name, 35);
    expect(await purge('snapshots')).toBe(0);
    await recordOutcome(
      at.ledger,
      settlement(
        { tenant: tenant.name, actionId: 'open' },
        { outcome: outcomeFor({ tenant: tenant.name, actionId: 'open' }, { status: 'denied' }) },
      ),
    );
    expect(await purge('snapshots')).toBe(1);
  });
});

describe('a counter', () => {
  test('goes when a new one would be the same, and not before', async () => {
    const tenant = new Tenant(at);
    const demands = [spend(60, WINDOW), spend(1, { limit: 'for-good' }), lease(3), token(10, 1000), breaker()];
    await tenant.admit('a', ...demands);
    await age(tenant.name, 400);
    await tenant.pass('spend', 400 * DAY_MS);
    await tenant.pass('calls', 400 * DAY_MS);
    // What the open action holds keeps its counters.
    expect(await purge('counters')).toBe(1);
    await tenant.end('a', { disposition: 'consume' });
    await age(tenant.name, 400);
    await tenant.pass('spend', 400 * DAY_MS);
    const before = await tenant.sums();
    await purge('counters');
    const left = await tenant.sums();
    expect(Object.keys(left)).toContain('for-good');
    expect(left['for-good']).toEqual(before['for-good']);
    expect(Object.keys(left)).not.toContain('spend');
    expect(Object.keys(left)).not.toContain('at-once');
    expect(await tenant.read(spend(1, WINDOW))).toMatchObject({ used: 0, held: 0, left: 100 });
  });

  test('that still counts is kept by the database itself', async () => {
    const tenant = new Tenant(at);
    await tenant.admit('a', spend(60));
    await age(tenant.name, 400);
    const drop = at.pool.query('delete from countersign.limit_counters where tenant = $1', [tenant.name]);
    await expect(drop).rejects.toMatchObject({ code: '23001' });
  });
});

test('a run is bounded, and the next one goes on', async () => {
  await purgeAll();
  const tenant = new Tenant(at);
  for (const actionId of ['a', 'b', 'c', 'd', 'e']) {
    await tenant.admit(actionId, spend(1, WINDOW));
    await tenant.end(actionId, { disposition: 'consume' });
  }
  await age(tenant.name, 31);
  expect([await purge('holds', 30, 2), await purge('holds', 30, 2), await purge('holds', 30, 2)]).toEqual([2, 2, 1]);
});

test('sessions go where gateways keep some, and are no matter where there is no gateway', async () => {
  expect(await purge('sessions')).toBe(0);
  const database = new Database({ url: at.url });
  await setUpTables(database);
  await at.pool.query(
    `insert into countersign.sessions (id_hash, tenant, person, jti, authenticated_at, expires_at)
     select md5(n::text) || md5(n::text), 'acme', '{}', '@ann', now() - interval '90 days', now() - n * interval '20 days' from generate_series(1, 2) n`,
  );
  expect(await purge('sessions')).toBe(1);
  await database.close();
});

describe('what a tool keeps of effects', () => {
  const dbTool = (url: string) => postgres({ name: 'shop-db', environment: 'production', url });
  const run = (tool: ReturnType<typeof dbTool>, days: object): Promise<Purged> =>
    new MockActivityEnvironment().run(() =>
      purgeActivity({ days }, { ledger: at.ledger, tools: new Map([[tool.name, tool]]), taskQueue: 'q' } as never),
    );
  const keys = async (): Promise<unknown[]> =>
    (await at.pool.query('select key from countersign_effects.effects order by key')).rows.map(
      ({ key }) => key as unknown,
    );

  test('goes with actions that ended long ago, and with no others; and not where its role may not', async () => {
    const tenant = new Tenant(at);
    const tool = dbTool(at.url);
    await tool.check?.({ signal: AbortSignal.timeout(10_000) });
    for (const actionId of ['ended', 'open', 'unknown']) await tenant.admit(actionId, spend(1, WINDOW));
    await tenant.end('ended', { disposition: 'consume' });
    await tenant.end('unknown', { disposition: 'keep' });
    await age(tenant.name, 31);
    const all = ['ended', 'open', 'unknown', 'never-heard-of'].map((id) => `countersign:${tenant.name}/${id}`);
    for (const key of [...all, 'somebody-else']) {
      await at.pool.query(
        `insert into countersign_effects.effects (key, status, at) values ($1, 'done', now() - interval '31 days')`,
        [key],
      );
    }

    const role = `reader_${tenant.name.replaceAll('-', '_')}`;
    await at.pool
      .query(`create role ${role} login password 'secret'; grant usage on schema countersign_effects to ${role};
      grant select, insert on countersign_effects.effects to ${role}`);
    const url = new URL(at.url);
    [url.username, url.password] = [role, 'secret'];
    const reader = dbTool(url.href);
    expect(await run(reader, { effects: 30 })).toEqual({
      gone: { effects: 0 },
      more: false,
      skipped: [{ tool: 'shop-db', why: expect.stringMatching(/^TOOL_FAILED: .* may not delete/) as string }],
    });
    const away = dbTool('postgres://nobody@127.0.0.1:1/none');
    expect((await run(away, { effects: 30 })).skipped?.[0]?.why).toMatch(/^TOOL_UNAVAILABLE/);
    await away.close();
    await reader.close();
    await at.pool.query(`drop owned by ${role}; drop role ${role}`);

    expect(await run(tool, { effects: 32 })).toEqual({ gone: { effects: 0 }, more: false });
    expect(await run(tool, { effects: 30 })).toEqual({ gone: { effects: 1 }, more: false });
    expect(await keys()).toEqual([...all.slice(1), 'somebody-else'].toSorted());
    await tool.close();
  });
});

test('durations are whole days, false keeps for good, and every kind has a default', () => {
  expect(Object.keys(purgeOptions().days).toSorted()).toEqual([...RETENTION_KINDS, 'effects'].toSorted());
  expect(purgeOptions({ holds: false, grants: 7 }).days).toMatchObject({ grants: 7 });
  expect(purgeOptions({ holds: false }).days).not.toHaveProperty('holds');
  for (const bad of [{ holds: 0 }, { holds: 1.5 }, { holds: true }, { actions: 30 }, { holds: -1 }]) {
    expect(retentionSchema.safeParse(bad).success).toBe(false);
  }
});
