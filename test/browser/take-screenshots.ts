/** Pictures of the pages, dark and light, of a shop whose agents have been busy. For docs/screenshots. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
