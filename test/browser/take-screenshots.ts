/** Pictures of the pages, dark and light, of a shop whose agents have been busy. For docs/screenshots. */
import { randomUUID } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import { requestFor, requirement, waits, yes } from '../ledger/approval-request-fixtures.js';
import { ROOT } from '../support/stack.js';
import { startWorld, type World } from './world.js';

const FOLDER = process.env['SCREENSHOTS'] ?? path.join(ROOT, 'docs/screenshots');
const MOST_BYTES = 300 * 1024;

let world: World;
beforeAll(async () => {
  world = await startWorld({ agents: ['cleaner', 'clerk', 'pricing-bot', 'reporter'] });
  await mkdir(FOLDER, { recursive: true });
  await longAgo(world);
  await busy(world);
  await overseen(world);
  await writtenPast(world);
});
afterAll(() => world?.stop());

/** Weeks of it, for the dashboard: done just now, with the ledger's times set back and waiting times made up. docs/inbox.md says so. */
async function longAgo({ stack, ...shop }: World): Promise<void> {
  // Several, so that none says yes too often in too short a time.
  const dbas = await Promise.all(['dora', 'otto', 'paul'].map((id) => stack.approver(`${id}@example.com`, ['dba'])));
  const agent = await stack.agent();
  for (let round = 0; round < 90; round++) {
    const where = { id: 1200 + round };
    const order = { tool: 'shop-db', input: { op: 'update', table: 'orders', set: { note: `round ${round}` }, where } };
    await shop.propose(order, { agent: 'clerk' });
    if (round % 4 === 0) {
      const users = { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: round + 1 } } };
      await shop.propose(users, { agent: 'cleaner' });
    }
    if (round % 7 !== 0) continue;
    const reply = await agent.perform({
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { note: `late ${round}` }, where: { id: { lte: 1200 } } },
    });
    if (reply.status !== 'pending') throw new Error(reply.reason);
    const dba = dbas[round % dbas.length] as (typeof dbas)[number];
    await stack.decide(reply, dba, round % 28 === 0 ? 'deny' : 'approve', 'seen');
    await reply.outcome();
  }
  const ledger = new pg.Pool({ connectionString: stack.ledgerUrl });
  try {
    await ledger.query(`
      SET search_path TO countersign;
      SET session_replication_role TO replica;
      UPDATE receipts SET at = now() - make_interval(secs => 2500000 * power(1 - seq / (1.0 + (SELECT max(seq) FROM receipts)), 0.9));
      UPDATE actions SET ended_at = (SELECT at FROM receipts WHERE seq = receipt_seq);
      UPDATE decisions SET waited_seconds = 300 + 61 * (ascii(action_id) % 40);
    `);
  } finally {
    await ledger.end();
  }
}

async function busy({ stack, ...shop }: World): Promise<void> {
  const ship = (id: number) => ({
    tool: 'shop-db',
    input: { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id } },
  });
  for (let id = 1001; id <= 1014; id++) await shop.propose(ship(id), { agent: 'clerk' });
  await shop.propose({ tool: 'shop-db', input: { op: 'select', table: 'products' } }, { agent: 'reporter' });
  for (const before of ['2020-01-01', '2021-01-01']) {
    await shop.propose(
      {
        tool: 'shop-db',
        input: { op: 'delete', table: 'users', where: { joined_on: { lt: before } } },
        claims: { environment: 'test' },
      },
      { agent: 'cleaner' },
    );
  }
  await shop.propose(
    {
      actionId: 'archive-2024',
      tool: 'staging-db',
      input: { op: 'delete', table: 'sessions', where: { id: { gt: 5150 } } },
    },
    { agent: 'cleaner' },
  );
  await stack.shop
    .query(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := OLD.note; RETURN NEW; END $$;
    CREATE TRIGGER keep BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.id = 1300) EXECUTE FUNCTION keep()`);
  await shop.propose(
    {
      actionId: 'note-1300',
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { note: 'call back' }, where: { id: 1300 } },
    },
    { agent: 'clerk' },
  );
  await stack.shop.query('DROP TRIGGER keep ON orders');
  await shop.propose(
    {
      actionId: 'reprice-teapot',
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { price_cents: 3200 }, where: { name: 'Teapot' } },
      reasoning: 'The supplier has raised its price by nine percent since the first of the month.',
    },
    { agent: 'pricing-bot' },
  );
  await shop.propose(
    {
      actionId: 'merge-mail-domains',
      tool: 'shop-db',
      input: { op: 'update', table: 'users', set: { email: 'moved@example.com' }, where: { id: { lte: 12 } } },
      reasoning: 'These twelve accounts have moved to the new mail domain.',
    },
    { agent: 'clerk' },
  );
  await shop.propose(
    {
      actionId: 'cancel-unpaid-2026',
      tool: 'shop-db',
      input: {
        op: 'update',
        table: 'orders',
        set: { status: 'cancelled', note: 'unpaid for 30 days' },
        where: { status: 'unpaid' },
      },
      expect: 'delta.operations == 272',
      reasoning:
        'These orders have been unpaid for more than thirty days, and the reminder of last week was not answered. The stock they hold is needed for the spring sale.\n\nI have checked that none of them has a payment under way.',
      claims: { environment: 'staging' },
    },
    { agent: 'clerk' },
  );
  await shop.propose(
    {
      actionId: 'purge-stale-sessions',
      tool: 'shop-db',
      input: { op: 'delete', table: 'sessions', where: { last_seen: { lt: '2025-05-01' } } },
      reasoning: 'Nobody has used these sessions for months.',
    },
    { agent: 'cleaner' },
  );
}

/** Two months of decisions in another tenant, made up in the ledger, and canaries that are over. docs/inbox.md says so. */
async function overseen({ stack: { ledger, ledgerUrl } }: World): Promise<void> {
  const tenant = 'globex';
  const rules = ['production-large-change', 'schema-changes', 'bulk-refunds'].map((policy) => requirement({ policy }));
  const people = [
    { person: 'ann@example.com', now: 34, before: 26, no: 0, noBefore: 6, seconds: 3, secondsBefore: 95 },
    { person: 'bert@example.com', now: 27, before: 29, no: 6, noBefore: 5, seconds: 210, secondsBefore: 185 },
    { person: 'gina@example.com', now: 22, before: 21, no: 7, noBefore: 6, seconds: 340, secondsBefore: 370 },
  ];
  const made: { id: string; daysAgo: number; seconds: number }[] = [];
  for (const { person, now, before, no, noBefore, seconds, secondsBefore } of people) {
    for (let n = 0; n < now + before; n++) {
      const late = n < now;
      const id = `${person}-${n}`;
      const denied = late ? n < no : n - now < noBefore;
      const ask = await waits(ledger, { tenant, actionId: id }, { requirements: [rules[n % 3] ?? requirement()] });
      await ledger.approvalRequests.recordDecision(yes(ask, person, denied ? { verdict: 'deny' } : {}));
      const usual = late ? seconds : secondsBefore;
      made.push({ id, daysAgo: late ? n % 29 : 31 + (n % 28), seconds: usual * (0.6 + (n % 9) / 10) });
    }
  }
  const ends = ['deny', 'deny', 'approve', 'deny', 'expired', 'request_changes'] as const;
  for (const [n, end] of ends.entries()) {
    const key = { tenant, actionId: `canary-${n}` };
    const request = requestFor(key, { requirements: [rules[n % 2] ?? requirement()] });
    const canary = {
      ...request,
      nonce: randomUUID(),
      reason: 'made up',
      most: { perWeek: 50, open: 50, perPersonPerDay: 50 },
    };
    await ledger.canaries.open(canary);
    if (end === 'expired') await ledger.canaries.close(key, end);
    else {
      const approver = people[n % 3]?.person ?? '';
      const record = {
        approver,
        roles: ['dba'],
        verdict: end,
        at: new Date().toISOString(),
        digest: digestText(key.actionId),
      };
      await ledger.canaries.decide({ ...key, shownDigest: request.shownDigest }, record);
    }
  }
  const database = new pg.Pool({ connectionString: ledgerUrl });
  try {
    await database.query(`SET search_path TO countersign; SET session_replication_role TO replica;
      CREATE TEMP TABLE made AS SELECT * FROM json_to_recordset('${JSON.stringify(made)}') AS m (id text, "daysAgo" int, seconds float);
      UPDATE decisions SET waited_seconds = made.seconds, decided_at = now() - make_interval(days => made."daysAgo")
        FROM made WHERE tenant = '${tenant}' AND action_id = made.id;
      UPDATE canaries SET waited_seconds = 20 + 61 * (ascii(substr(action_id, 8)) % 7) WHERE tenant = '${tenant}' AND ending = 'decided'`);
  } finally {
    await database.end();
  }
}

/** What a radar would report. */
async function writtenPast({ stack: { ledger } }: World): Promise<void> {
  const watching = { kind: 'postgres', reader: 'worker-1', leaseMs: 3_600_000, state: 'watching' } as const;
  const watched = ['public.orders', 'public.products', 'public.sessions', 'public.users'];
  await ledger.radar.lease({ ...watching, source: 'shop-db', watched, unseen: ['public.drafts: it has no key'] });
  await ledger.radar.lease({ ...watching, source: 'staging-db', watched: ['public.sessions'], unseen: [] });
  const found = (
    minutesAgo: number,
    detail: string,
    change: { table: string; operation: 'update' | 'delete'; rows: number },
  ) =>
    ({
      kind: 'write',
      reason: 'no_effect',
      at: new Date(Date.now() - minutesAgo * 60_000).toISOString(),
      changes: [change],
      transaction: String(88_000 - minutesAgo),
      position: `0/1A2B${minutesAgo.toString(16).toUpperCase()}`,
      detail,
      writers: [{ user: 'app', application: 'psql' }],
    }) as const;
  await ledger.radar.record('shop-db', {
    reader: 'worker-1',
    term: 1,
    system: 'shop',
    position: '0/1A2C40',
    memory: {},
    alerts: [
      found(190, 'delete of 12 rows of public.sessions: no action made it.', {
        table: 'public.sessions',
        operation: 'delete',
        rows: 12,
      }),
      found(41, 'update of 3 rows of public.orders: no action made it.', {
        table: 'public.orders',
        operation: 'update',
        rows: 3,
      }),
      found(6, 'update of 1 row of public.products: no action made it.', {
        table: 'public.products',
        operation: 'update',
        rows: 1,
      }),
    ],
  });
  await ledger.radar.record('staging-db', {
    reader: 'worker-1',
    term: 1,
    system: 'staging',
    position: '0/9F1038',
    memory: {},
    alerts: [],
  });
  const oldest = (await ledger.radarAlerts.list()).at(-1);
  if (oldest !== undefined)
    await ledger.radarAlerts.acknowledge([oldest.id], {
      by: 'paula@example.com',
      tenant: 'acme',
      note: 'the weekly clean-up, before it was declared',
      command: digestText('the weekly clean-up'),
    });
}

test.each(['light', 'dark'] as const)('the pages for operators, %s', async (colorScheme) => {
  const options = { colorScheme, viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 };
  for (const [name, who] of [
    ['oversight', 'gina'],
    ['radar', 'paula'],
  ] as const) {
    const page = await world.logIn(who, { ...options, at: `/${name}` });
    const file = path.join(FOLDER, `${name}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage: true });
    expect((await stat(file)).size).toBeLessThan(MOST_BYTES);
  }
});

test.each(['light', 'dark'] as const)('the pages, %s', async (colorScheme) => {
  const page = await world.logIn('dora', { colorScheme, viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 });
  const take = async (name: string, options: { fullPage?: boolean } = {}): Promise<void> => {
    const file = path.join(FOLDER, `${name}-${colorScheme}.png`);
    await page.screenshot({ path: file, ...options });
    expect((await stat(file)).size).toBeLessThan(MOST_BYTES);
  };
  await page.goto('/');
  await page.getByRole('link', { name: 'delete 5000 rows from sessions' }).waitFor();
  await take('inbox');
  await page.goto('/actions/cancel-unpaid-2026');
  await take('detail', { fullPage: process.env['SCREENSHOTS'] !== undefined });
  await page.goto('/dashboard?days=30');
  await take('dashboard');
  if (process.env['SCREENSHOTS'] === undefined) return;
  await page.goto('/actions/cancel-unpaid-2026');
  await page.keyboard.press('d');
  await take('dialog');
  await page.goto('/history');
  await take('history');
  await page.goto('/actions/note-1300');
  await take('mismatch', { fullPage: true });
  await page.goto('/me');
  await take('me', { fullPage: true });
  await page.goto('/freezes');
  await take('freezes');
  await page.goto('/nothing-here');
  await take('nothing');
  await page.goto('/?q=nothing-like-it');
  await take('empty');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/');
  await take('narrow-inbox');
  await page.goto('/actions/cancel-unpaid-2026');
  await take('narrow-detail');
  await page.goto('/dashboard');
  await take('narrow-dashboard');
});
