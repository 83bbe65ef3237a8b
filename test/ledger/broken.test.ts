/** A ledger that cannot take the receipt of an action admits it not, whatever is wrong with it; and the effects that it lost are found. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { postgres } from '../../src/tools/index.js';
import { unrecordedEffects, type UnrecordedEffect } from '../../src/receipts/unrecorded.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import {
  admission,
  collect,
  newTenant,
  recordOutcome,
  settlement,
  signLink,
  startLedger,
  useOf,
  type TestLedger,
} from './support.js';

let world: TestLedger;
let superuser: pg.Client;
let tenant: string;

beforeAll(async () => {
  world = await startLedger();
  superuser = new pg.Client({ connectionString: world.url });
  await superuser.connect();
  // As an attacker with the superuser's password does, or a restore of single tables: no trigger and no foreign key is asked.
  await superuser.query('set session_replication_role = replica; set search_path = countersign');
});
afterAll(async () => {
  await superuser?.end();
  await world?.stop();
});
beforeEach(() => {
  tenant = newTenant();
});

async function settleThree(): Promise<void> {
  for (const actionId of ['a-1', 'a-2', 'a-3']) await recordOutcome(world.ledger, settlement({ tenant, actionId }));
}

async function grantsOf(actionId: string): Promise<number> {
  const { rows } = await world.pool.query<{ n: number }>(
    'select count(*)::int as n from countersign.grants where tenant = $1 and action_id = $2',
    [tenant, actionId],
  );
  return rows[0]?.n ?? -1;
}

describe('nothing is admitted, and no grant is issued, where', () => {
  test.each([
    [
      'the last receipt is gone',
      `delete from receipts where tenant = $1 and seq = 3`,
      /receipt 3, the last of its chain, is not there/,
    ],
    [
      'the last receipt is another than its head names',
      `update chains set hash = 'sha256:' || repeat('0', 64) where tenant = $1`,
      /receipt 3, the last of its chain, is not there/,
    ],
    [
      'the head was set back',
      `update chains set seq = 2, hash = (select hash from receipts where tenant = $1 and seq = 2) where tenant = $1`,
      /goes on after receipt 2, which its head names as the last/,
    ],
    ['the head is gone', `delete from chains where tenant = $1`, /goes on after receipt 0/],
    [
      'the last receipts are gone with the head, and outcomes are left that name them',
      `with cut as (delete from receipts where tenant = $1 and seq > 1)
       update chains set seq = 1, hash = (select hash from receipts where tenant = $1 and seq = 1) where tenant = $1`,
      /ends with receipt 1, and outcomes name later ones/,
    ],
    [
      'the last receipts are gone with the head and their outcomes, and the trail still has them',
      `with cut as (delete from receipts where tenant = $1 and seq > 1),
        forgotten as (delete from actions where tenant = $1 and receipt_seq > 1)
       update chains set seq = 1, hash = (select hash from receipts where tenant = $1 and seq = 1) where tenant = $1`,
      /ends with receipt 1, and the audit trail has later ones/,
    ],
  ])('%s', async (_, damage, told) => {
    await settleThree();
    await superuser.query(damage, [tenant]);
    const fresh = await world.another();
    const broken = { code: 'LEDGER_BROKEN', retryable: true, message: expect.stringMatching(told) as string };
    await expect(fresh.actions.admit(admission({ tenant, actionId: 'next' }))).rejects.toMatchObject(broken);
    const holds = [{ kind: 'budget', limit: 'spend', key: '', amount: 1, max: 9, unit: 'EUR' }] as const;
    await expect(fresh.actions.admit(admission({ tenant, actionId: 'next' }, { holds }))).rejects.toMatchObject(broken);
    expect(await grantsOf('next')).toBe(0);
    expect(await fresh.limits.holds({ tenant, actionId: 'next' })).toEqual([]);
    expect(await world.ledger.receipts.broken()).toContainEqual(expect.objectContaining({ tenant }));
    // Whoever comes to record an outcome there is told the same, and no longer of a fault of ours.
    await expect(fresh.receipts.settle(settlement({ tenant, actionId: 'next' }))).rejects.toMatchObject({
      code: 'LEDGER_BROKEN',
      retryable: true,
    });
  });

  test('the ledger was restored to an earlier state than this worker saw', async () => {
    const restored = await world.another();
    for (const actionId of ['a-1', 'a-2', 'a-3']) await recordOutcome(restored, settlement({ tenant, actionId }));
    await superuser.query(`delete from actions where tenant = $1 and receipt_seq > 1`, [tenant]);
    await superuser.query(`delete from receipts where tenant = $1 and seq > 1`, [tenant]);
    await superuser.query(`delete from trail where tenant = $1 and receipt_seq > 1`, [tenant]);
    await superuser.query(
      `update chains set seq = 1, hash = (select hash from receipts where tenant = $1) where tenant = $1`,
      [tenant],
    );
    await expect(restored.actions.admit(admission({ tenant, actionId: 'next' }))).rejects.toMatchObject({
      code: 'LEDGER_BROKEN',
      message: expect.stringContaining('ends with receipt 1, and this worker saw later ones') as string,
    });
    expect(await grantsOf('next')).toBe(0);
  });

  test('the ledger is read-only', async () => {
    const readOnly = await world.another({ url: `${world.url}?options=-c%20default_transaction_read_only%3Don` });
    await expect(readOnly.actions.admit(admission({ tenant, actionId: 'next' }))).rejects.toMatchObject({
      code: 'LEDGER_BROKEN',
      retryable: true,
      message: expect.stringContaining('is read-only') as string,
    });
    expect(await grantsOf('next')).toBe(0);
  });

  test('the ledger is full', async () => {
    // What Postgres says of a disk without room (53100), said by the table: a disk cannot be filled here.
    await superuser.query(`
      create function public.no_room() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
      end $$;
      create trigger no_room before insert on actions for each row execute function public.no_room();
      alter table actions enable always trigger no_room`);
    try {
      await expect(world.ledger.actions.admit(admission({ tenant, actionId: 'next' }))).rejects.toMatchObject({
        code: 'LEDGER_BROKEN',
        retryable: true,
        message: expect.stringContaining('is full') as string,
      });
    } finally {
      await superuser.query('drop trigger no_room on actions; drop function public.no_room');
    }
    expect(await grantsOf('next')).toBe(0);
  });
});

test('a whole chain admits, in one round trip as before, and so does a tenant without one', async () => {
  expect(await world.ledger.actions.admit(admission({ tenant, actionId: 'first' }))).toMatchObject({
    kind: 'admitted',
  });
  await settleThree();
  expect(await world.ledger.actions.admit(admission({ tenant, actionId: 'next' }))).toMatchObject({ kind: 'admitted' });
  await world.ledger.receipts.append({ tenant, actionId: 'command/1', sign: signLink });
  expect(await world.ledger.actions.admit(admission({ tenant, actionId: 'later' }))).toMatchObject({
    kind: 'admitted',
  });
  expect((await world.ledger.receipts.broken()).map((one) => one.tenant)).not.toContain(tenant);
});

describe('effects without a record', () => {
  let shop: TestDatabase;
  let tool: ReturnType<typeof postgres>;

  beforeAll(async () => {
    shop = await createDatabase();
    tool = postgres({ name: 'shop-db', environment: 'production', url: shop.url });
    await tool.check?.({ signal: AbortSignal.timeout(10_000) });
  });
  afterAll(async () => {
    await tool?.close();
    await shop?.drop();
  });

  const found = async (since = new Date(0)): Promise<UnrecordedEffect[]> =>
    collect(unrecordedEffects({ ledger: world.ledger, tools: [tool], since, signal: AbortSignal.timeout(10_000) }));

  test('are listed, each with what the ledger says instead; what is known, under way or none of ours is not', async () => {
    const pool = new pg.Pool({ connectionString: shop.url });
    const made = (...ids: string[]) =>
      pool.query(
        `insert into countersign_effects.effects (key, status, input, execution, at)
         select 'countersign:' || $1 || '/' || id, 'done', 'x', '{}', now() + n * interval '1 second'
         from unnest($2::text[]) with ordinality as t (id, n)`,
        [tenant, ids],
      );
    await made('known', 'lost', 'under-way', 'not-used', 'called-denied');
    await pool.query(
      `insert into countersign_effects.effects (key, status) values ('countersign:' || $1 || '/void', 'void'), ('other:key', 'done')`,
      [tenant],
    );
    await recordOutcome(world.ledger, settlement({ tenant, actionId: 'known' }));
    const used = admission({ tenant, actionId: 'under-way' });
    await world.ledger.actions.admit(used);
    await world.ledger.grants.use(useOf(used));
    await world.ledger.actions.admit(admission({ tenant, actionId: 'not-used' }));
    const denied = settlement({ tenant, actionId: 'called-denied' });
    await recordOutcome(world.ledger, { ...denied, outcome: { ...denied.outcome, status: 'denied' } });

    expect((await found()).map(({ actionId, ledger }) => [actionId, ledger])).toEqual([
      ['lost', 'no action'],
      ['not-used', 'no use of a grant'],
      ['called-denied', 'denied'],
    ]);
    expect(await found(new Date(Date.now() + 60_000))).toEqual([]);
    await pool.end();
  });

  test('are none where the tool has not made any yet', async () => {
    const empty = await createDatabase();
    const fresh = postgres({ name: 'empty', environment: 'test', url: empty.url });
    expect(
      await collect(
        unrecordedEffects({
          ledger: world.ledger,
          tools: [fresh],
          since: new Date(0),
          signal: AbortSignal.timeout(10_000),
        }),
      ),
    ).toEqual([]);
    await fresh.close();
    await empty.drop();
  });
});
