/** `required: true`: nothing is changed in a database while the radar cannot look at it, and things go on by themselves once it can. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { RadarStanding } from '../../src/action/radar.js';
import type { Tool } from '../../src/tools/tool.js';
import { peekCredential, signCommand } from '../../src/trust/index.js';
import { startProxy } from '../ledger/proxy.js';
import { ended, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { radarWorld, type RadarWorld, type WatchedDatabase } from './world.js';

let world: RadarWorld;
let database: WatchedDatabase;
let stack: Stack;
let bot: Countersign;
/** The ledger's database. */
let ledger: pg.Pool;
/** The address for the role of the radar. */
let watcher: string;

const sql = (text: string) => database.pool.query(text);
const mayLook = (may: boolean) => sql(`ALTER ROLE watcher ${may ? 'SUPERUSER' : 'NOSUPERUSER'}`);

function required(radarUrl = watcher, everyMs = 100): Tool {
  return database.tool({
    environment: 'production',
    tables: ['orders'],
    radar: { url: radarUrl, everyMs, required: true },
  });
}

beforeAll(async () => {
  world = await radarWorld();
  database = await world.database();
  await sql('CREATE TABLE orders (id int PRIMARY KEY)');
  watcher = await database.as('watcher');
  await mayLook(true);
  stack = await startStack({ schema: '', tools: () => [required()], worker: false });
  bot = await stack.agent();
  ledger = new pg.Pool({ connectionString: stack.ledgerUrl, max: 1 });
});
afterAll(async () => {
  await ledger?.end();
  await stack?.stop();
  await world?.stop();
});
beforeEach(async () => {
  await mayLook(true);
  await sql('TRUNCATE orders');
  if (stack.worker === undefined) await stack.startWorker();
  await standing('watching');
});

async function standing(state: RadarStanding['state']): Promise<RadarStanding> {
  const [one] = await until(
    () => stack.ledger.radar.sources(),
    ([found]) => found?.state === state,
  );
  return one as RadarStanding;
}

async function stopped(): Promise<void> {
  await stack.worker?.stop();
  stack.worker = undefined;
}

const insert = (id: number) => ({ tool: 'shop-db', input: { op: 'insert', table: 'orders', rows: [{ id }] } });
const rows = async (): Promise<readonly number[]> =>
  (await database.pool.query<{ id: number }>('SELECT id FROM orders ORDER BY id')).rows.map(({ id }) => id);
const OFF = { error: { code: 'RADAR_OFF', field: 'proposal.tool' } };

test('while it cannot look nothing is changed and nobody is asked, reads go on, and all goes on once it can', async () => {
  expect(await ended(bot, insert(1))).toMatchObject({ status: 'success' });
  await mayLook(false);
  expect((await standing('off')).problem).toContain('permission denied');

  const refused = await ended(bot, insert(2));
  expect(refused).toMatchObject({ status: 'denied', ...OFF });
  // It says nothing of why: agents read it.
  expect(JSON.stringify(refused)).not.toContain('permission');
  // Policy asks people for it.
  await sql('INSERT INTO orders SELECT n FROM generate_series(1000, 1200) n');
  const purge = { tool: 'shop-db', input: { op: 'delete', table: 'orders', where: { id: { gte: 1000 } } } };
  expect(await ended(bot, purge)).toMatchObject({ status: 'denied', ...OFF });
  expect(await bot.dryRun(insert(2))).toMatchObject({ effect: 'deny', ...OFF });
  const read = { tool: 'shop-db', input: { op: 'select', table: 'orders', limit: 1 } };
  expect(await ended(bot, read)).toMatchObject({ status: 'success' });
  expect((await rows()).filter((id) => id < 1000)).toEqual([1]);

  await mayLook(true);
  await standing('watching');
  expect(await ended(bot, insert(3))).toMatchObject({ status: 'success' });
  expect(await bot.dryRun(purge)).toMatchObject({ effect: 'require_approval' });
  expect((await rows()).filter((id) => id < 1000)).toEqual([1, 3]);
});

test('an action that has its grant when the radar stops has no effect', async () => {
  const taken = `update countersign.radar_sources set state = 'off', reader = 'another', lease_until = 'infinity'`;
  await ledger.query(`create function countersign.stop_looking() returns trigger language plpgsql as $$ begin ${taken}; return new; end $$;
    create trigger stop_looking after insert on countersign.grants for each row execute function countersign.stop_looking()`);
  try {
    expect(await ended(bot, insert(1))).toMatchObject({ status: 'failed', ...OFF });
    expect(await rows()).toEqual([]);
  } finally {
    await ledger.query(`drop function countersign.stop_looking() cascade;
      update countersign.radar_sources set lease_until = clock_timestamp()`);
  }
  await standing('watching');
  expect(await ended(bot, insert(2))).toMatchObject({ status: 'success' });
});

test('what is to be undone waits for a person while the radar does not look, who has it undone once it does', async () => {
  // It stops as soon as the grant of the first action is used.
  const taken = `update countersign.radar_sources set state = 'off', reader = 'another', lease_until = 'infinity'`;
  await ledger.query(`create function countersign.stop_looking() returns trigger language plpgsql as $$ begin ${taken}; return new; end $$;
    create trigger stop_looking after update on countersign.grants for each row execute function countersign.stop_looking()`);
  const operator = await stack.approver('olga', ['operator']);
  const again = async (): Promise<void> => {
    const { tenant } = peekCredential(operator);
    const command = { kind: 'recover', tenant, subject: 'undone', verdict: 'retry', reason: 'it looks' } as const;
    await bot.submitCommand(await signCommand(operator, command));
  };
  const refused = async (): Promise<void> => {
    const compensation = await until(
      () => bot.compensation('undone'),
      ({ status }) => status === 'needs_person',
    );
    expect(compensation.reason).toContain('must be watched by the radar');
  };
  try {
    const promised = { ...insert(7), actionId: 'undone', expect: 'false', onMismatch: 'compensate' as const };
    expect(await ended(bot, promised)).toMatchObject({ status: 'mismatch', compensation: { status: 'needs_person' } });
    await refused();
    await again();
    await refused();
    expect(await rows()).toEqual([7]);
  } finally {
    await ledger.query(`drop function countersign.stop_looking() cascade;
      update countersign.radar_sources set lease_until = clock_timestamp()`);
  }
  await standing('watching');
  await again();
  await until(rows, (left) => left.length === 0);
});

test('a radar that has not looked for long is as good as none', async () => {
  const ago = (time: string) =>
    ledger.query(`update countersign.radar_sources set reader = 'another', lease_until = 'infinity',
      looked_at = clock_timestamp() - interval '${time}'`);
  await ago('55 seconds');
  expect(await ended(bot, insert(1))).toMatchObject({ status: 'success' });
  await ago('65 seconds');
  expect(await ended(bot, insert(2))).toMatchObject({ status: 'denied', ...OFF });
  await ledger.query('update countersign.radar_sources set lease_until = clock_timestamp()');
  await until(
    () => bot.dryRun(insert(3)),
    ({ effect }) => effect === 'allow',
  );
});

test('the slot that was dropped is made anew, and what was not seen is an alert; while it cannot be, nothing is changed', async () => {
  const slot = async (): Promise<string> => {
    const found = await database.pool.query<{ slot_name: string }>(
      `SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`,
    );
    return found.rows[0]?.slot_name ?? '';
  };
  const name = await slot();
  const before = await stack.ledger.radarAlerts.list({ kind: 'gap' });
  await mayLook(false);
  await standing('off');
  await sql(`SELECT pg_drop_replication_slot('${name}')`);
  expect(await ended(bot, insert(1))).toMatchObject({ status: 'denied', ...OFF });
  await mayLook(true);
  const gaps = await until(
    () => stack.ledger.radarAlerts.list({ kind: 'gap' }),
    (alerts) => alerts.length > before.length,
  );
  expect(gaps[0]?.detail).toContain('somebody dropped the slot');
  await standing('watching');
  expect(await slot()).toBe(name);
  expect(await ended(bot, insert(2))).toMatchObject({ status: 'success' });
  expect(await rows()).toEqual([2]);
});

test('a worker does not start where the database cannot be watched at all', async () => {
  await stopped();
  await mayLook(false);
  await expect(stack.startWorker()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    fix: 'Have an administrator run: ALTER ROLE <role> REPLICATION;',
  });
  expect(stack.worker).toBeUndefined();
  await mayLook(true);
  await stack.startWorker();
  await standing('watching');
  expect(await ended(bot, insert(1))).toMatchObject({ status: 'success' });
});

test('a worker that starts while the database does not answer its radar changes nothing until it does', async () => {
  await stopped();
  await ledger.query(`delete from countersign.radar_sources`);
  const proxy = await startProxy(watcher);
  await proxy.close();
  await stack.startWorker({ config: { policies: stack.policies, tools: [required(proxy.url)] } });
  try {
    // Also before it has found out that it cannot look.
    expect(await ended(bot, insert(1))).toMatchObject({ status: 'denied', ...OFF });
    await standing('off');
    const actionId = randomUUID();
    expect(await ended(bot, { ...insert(1), actionId })).toMatchObject({ status: 'denied', ...OFF });

    const back = await startProxy(watcher, 0, Number(new URL(proxy.url).port));
    try {
      await standing('watching');
      expect(await ended(bot, insert(2))).toMatchObject({ status: 'success' });
      // What was refused stays refused.
      expect(await ended(bot, { ...insert(1), actionId })).toMatchObject({ status: 'denied', ...OFF });
      expect(await rows()).toEqual([2]);
    } finally {
      await stopped();
      await back.close();
    }
  } finally {
    await stopped();
  }
});
