/** Pictures of actions in the Temporal UI, for docs/temporal-ui.md: allowed, denied, approved by people, and a mismatch. */
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import pino from 'pino';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Countersign } from '../../src/client/countersign.js';
import { startDevServers, type DevServers } from '../../src/dev/index.js';
import { setUpTables } from '../../src/gateway/store/set-up.js';
import { Database } from '../../src/ledger/index.js';
import { generateKeyringFile, issueAgent, issueApprover, parseKeyring, signApproval } from '../../src/trust/index.js';
import { startWorker, type RunningWorker } from '../../src/worker/worker.js';
import { launchBrowser } from '../support/browser.js';
import { ROOT, shopTool, STARTER, TENANT } from '../support/stack.js';

const FOLDER = process.env['SCREENSHOTS'] ?? path.join(ROOT, 'docs/screenshots/temporal');
const MOST_BYTES = 300 * 1024;

let folder: string;
let servers: DevServers;
let worker: RunningWorker;
let agent: Countersign;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-temporal-ui-'));
  await mkdir(FOLDER, { recursive: true });
  servers = await startDevServers({ log: () => {}, env: {} });
  const { url } = servers.postgres;
  const database = new Database({ url });
  await setUpTables(database);
  await database.close();
  const shop = new pg.Client({ connectionString: url });
  await shop.connect();
  await shop.query(`
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, plan text NOT NULL);
    INSERT INTO customers SELECT n, 'customer ' || n, 'free' FROM generate_series(1, 300) n;
    CREATE TABLE users (id int PRIMARY KEY);
    INSERT INTO users VALUES (1);
    CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.plan := OLD.plan; RETURN NEW; END $$;
    CREATE TRIGGER undo BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.id = 13) EXECUTE FUNCTION undo();`);
  await shop.end();
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'screenshots');
  const { address, namespace } = servers.temporal;
  const temporal = { address, namespace, taskQueue: 'countersign' };
  worker = await startWorker({
    config: { policies: STARTER, tools: [shopTool(url)] },
    temporal,
    ledgerUrl: url,
    keyring,
    logger: pino({ level: 'silent' }),
    reconcileEveryMs: 0,
  });
  const credential = await issueAgent(keyring, {
    id: 'billing-bot',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  agent = await Countersign.connect({ ...temporal, credential });
  const upgrade = (actionId: string, where: object, reasoning: string) => ({
    actionId,
    tool: 'shop-db',
    input: { op: 'update', table: 'customers', set: { plan: 'pro' }, ...where },
    reasoning,
  });
  await agent.perform({
    ...upgrade('ticket-4711-upgrade', { where: { id: 7 } }, 'Customer 7 paid for the pro plan in ticket 4711.'),
    expect: 'post.customers["7"].plan == "pro"',
  });
  await agent.perform({
    actionId: 'clean-up-test-users',
    tool: 'shop-db',
    input: { op: 'delete', table: 'users', all: true },
    reasoning: 'These look like old test records.',
  });
  await agent.perform(upgrade('ticket-4713-upgrade', { where: { id: 13 } }, 'Customer 13 paid for the pro plan.'));
  const asked = await agent.perform(
    upgrade('spring-campaign', { where: { id: { gt: 100 } } }, 'Customers of this year get the pro plan in spring.'),
  );
  if (asked.status !== 'pending') throw new Error(asked.reason);
  const dora = await issueApprover(keyring, { id: 'dora@example.com', tenant: TENANT, roles: ['dba'] });
  const { shownDigest } = asked.pending;
  await agent.decide(
    'spring-campaign',
    await signApproval(dora, {
      tenant: TENANT,
      actionId: 'spring-campaign',
      shownDigest,
      verdict: 'approve',
      reason: 'Agreed with marketing.',
    }),
  );
  await asked.outcome();
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1440, height: 1000 }, deviceScaleFactor: 1 });
});
afterAll(async () => {
  await browser?.close();
  await agent?.close();
  await worker?.stop();
  await servers?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Returns the picture's size, bytes. */
async function take(name: string): Promise<number> {
  const file = path.join(FOLDER, `${name}.png`);
  await page.screenshot({ path: file, animations: 'disabled' });
  return (await stat(file)).size;
}

const home = (): string => `${servers.temporal.uiUrl}/namespaces/${servers.temporal.namespace}`;

test('the list of actions, found by a search attribute', async () => {
  const query = encodeURIComponent('CountersignTenant = "acme" AND CountersignTool = "shop-db"');
  await page.goto(`${home()}/workflows?query=${query}`);
  await page.getByText('ticket-4711-upgrade').first().waitFor();
  expect(await take('list')).toBeLessThan(MOST_BYTES);
});

test('what each step came to', async () => {
  await page.goto(`${home()}/workflows/${encodeURIComponent(`${TENANT}/ticket-4711-upgrade`)}`);
  await page.getByRole('tab', { name: 'User Metadata' }).or(page.getByText('User Metadata')).first().click();
  // The UI renders Markdown in frames of its own.
  const inFrame = async (): Promise<boolean> => {
    const others = page.frames().filter((frame) => frame !== page.mainFrame());
    const texts = await Promise.all(
      others.map((frame) =>
        frame
          .locator('body')
          .innerText()
          .catch(() => ''),
      ),
    );
    return texts.some((text) => text.includes('5 checks hold'));
  };
  await expect.poll(inFrame, { timeout: 20_000 }).toBe(true);
  await page.waitForTimeout(1_000);
  expect(await take('steps')).toBeLessThan(MOST_BYTES);
});

test.each([
  ['allowed', 'ticket-4711-upgrade', 'verify'],
  ['denied', 'clean-up-test-users', 'settle'],
  ['approved', 'spring-campaign', 'requestApproval'],
  ['mismatch', 'ticket-4713-upgrade', 'verify'],
])('an action that was %s: its timeline and result', async (name, actionId, lastStep) => {
  await page.goto(`${home()}/workflows/${encodeURIComponent(`${TENANT}/${actionId}`)}`);
  await page.getByText(lastStep).first().waitFor();
  expect(await take(name)).toBeLessThan(MOST_BYTES);
});
