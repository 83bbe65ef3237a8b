/** docs/recovery.md: its programs run on real servers, its commands do what is said, and its tables are complete. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FAULT_POINTS } from '../../activities/index.js';
import { createProgram } from '../../src/cli/program.js';
import { encodeCredential, issueAgent, issueApprover } from '../../src/trust/index.js';
import { cli } from '../cli/support.js';
import { journalTool } from '../support/journal-tool.js';
import { ended, ROOT, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { onSources, programFrom, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/recovery.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)].map(([, language, name, text]) => ({
  name: name ?? language,
  text: text as string,
}));

let stack: Stack;
let folder: string;
let env: Record<string, string>;
let ann: string;

beforeAll(async () => {
  folder = await scratch('recovery');
  stack = await startStack({
    schema: `
      CREATE TABLE prices (id int PRIMARY KEY, cents int NOT NULL);
      INSERT INTO prices VALUES (1001, 1000);
      CREATE FUNCTION floor() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.cents := greatest(NEW.cents, 995); RETURN NEW; END $$;
      CREATE TRIGGER floor BEFORE UPDATE ON prices FOR EACH ROW EXECUTE FUNCTION floor();
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL);
      INSERT INTO stock VALUES ('lamp', 3);
      CREATE TABLE orders (id int PRIMARY KEY, sku text NOT NULL);
      CREATE TABLE accounts (id int PRIMARY KEY, open int NOT NULL CHECK (open = 0));
      INSERT INTO accounts VALUES (7, 0);`,
    tools: (url) => [
      shopTool(url),
      journalTool({ name: 'bank', file: path.join(folder, 'bank'), idempotency: 'none', canLookUp: false }),
    ],
  });
  const agent = await issueAgent(stack.keyring, { id: 'bot', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
  ann = encodeCredential(await issueApprover(stack.keyring, { id: 'ann', tenant: TENANT, roles: ['operator'] }));
  await writeFile(path.join(folder, 'ann.csk'), ann, { mode: 0o600 });
  env = {
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_TASK_QUEUE: stack.temporal.taskQueue,
    COUNTERSIGN_AGENT: encodeCredential(agent),
  };
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function runSnippet(name: string): Promise<string> {
  const block = blocks.find((one) => one.name === name);
  const file = await programFrom(folder, name, onSources(block?.text ?? ''));
  const { stdout } = await promisify(execFile)(process.execPath, [file], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  return stdout;
}

function command(begin: string): string[] {
  const line = page.match(new RegExp(`^ {4}countersign (${begin}.*)$`, 'm'))?.[1] ?? '';
  return (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
}

test('has no other snippets than those run here', () => {
  expect(blocks.map(({ name }) => name)).toEqual(['mismatch.ts', 'order.ts', 'cedar']);
});

test('a mismatch is undone, as the program says', async () => {
  expect(await runSnippet('mismatch.ts')).toContain("actionId: 'undo:1:price-1001'");
  expect((await stack.shop.query('SELECT cents FROM prices')).rows).toEqual([{ cents: 1000 }]);
});

test('the saga is undone when its last step fails', async () => {
  expect(await runSnippet('order.ts')).toMatch(/^compensated /);
  expect((await stack.shop.query('SELECT qty FROM stock')).rows).toEqual([{ qty: 3 }]);
  expect((await stack.shop.query('SELECT FROM orders')).rowCount).toBe(0);
});

test('the permit is the starter’s', async () => {
  const starter = await readFile(path.join(ROOT, 'policies/starter/roles.cedar'), 'utf8');
  const permit = (text: string): string => text.slice(text.indexOf('@id("compensator")')).split(';')[0] as string;
  const withoutReason = permit(starter).replace(/@reason\(.*\)\n/, '');
  expect(withoutReason).toBe(permit(page));
});

test('a saga with an undoing that failed: shown, waited for, tried again, accepted', async () => {
  const client = await stack.agent({ id: 'clerk' });
  // The bank's journal has no way back.
  await client.saga({
    traceId: 'order-1001-by-hand',
    steps: [
      { tool: 'bank', input: { line: 'refund' } },
      { tool: 'shop-db', input: { op: 'update', table: 'accounts', set: { open: 1 }, where: { id: 7 } } },
    ],
  });
  const named = (words: string[]): string[] =>
    words.map((word) => (word === 'order-1001' ? 'order-1001-by-hand' : word));
  const run = (words: string[]) => cli([...named(words), '--json'], { env, cwd: folder });
  expect((await run(command('saga show'))).json()).toMatchObject({
    status: 'needs_person',
    waitsFor: { kind: 'compensation' },
  });
  const pending = await until(
    () => cli(['pending', '--json'], { env }),
    ({ stdout }) => stdout.includes('order-1001-by-hand'),
  );
  expect(pending.json()).toMatchObject({
    compensations: [{ actionId: 'order-1001-by-hand:1', fix: expect.stringContaining('countersign saga retry') }],
  });
  const text = await cli(['pending'], { env });
  expect(text.stdout).toContain('could not be undone');

  const retried = await run(command('saga retry'));
  expect(retried.json()).toMatchObject({ cause: 'order-1001-by-hand:1', verdict: 'retry', by: 'ann' });
  await until(
    () => client.sagaView('order-1001-by-hand'),
    ({ waitsFor }) => waitsFor?.kind === 'compensation',
  );
  const accepted = await run(command('saga accept'));
  expect(accepted.json()).toMatchObject({ verdict: 'accept', receipt: { tenant: TENANT } });
  expect(await client.sagaOutcome('order-1001-by-hand')).toMatchObject({ status: 'compensation_failed' });
  expect((await run(command('saga accept'))).code).not.toBe(0);
  expect((await run(['saga', 'show', 'nothing'])).json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
});

test('an unknown outcome is pending until it is resolved', async () => {
  const client = await stack.agent({ id: 'clerk' });
  const outcome = await ended(client, { actionId: 'refund-1001', tool: 'bank', input: { line: 'x', lose: 'after' } });
  expect(outcome.status).toBe('unknown');
  const pending = await until(
    () => cli(['pending', '--json'], { env }),
    ({ stdout }) => stdout.includes('refund-1001'),
  );
  expect(pending.json()).toMatchObject({
    unknown: [{ actionId: 'refund-1001', fix: expect.stringContaining('countersign resolve') }],
  });
  const resolved = await cli([...command('resolve'), '--json'], { env, cwd: folder });
  expect(resolved.json()).toMatchObject({ status: 'success' });
  expect((await cli(['pending', '--json'], { env })).json()).toMatchObject({ unknown: [] });
});

test('every command is one of the command line’s', () => {
  const saga = createProgram().commands.find((one) => one.name() === 'saga');
  expect(saga?.commands.map((one) => one.name())).toEqual(['show', 'retry', 'accept']);
});

test('every fault point is listed, and no other', () => {
  const rows = page.slice(page.indexOf('| point ')).split('\n');
  const listed = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([\w.-]+)`/g)].map(([, point]) => point),
  );
  expect(listed).toHaveLength(FAULT_POINTS.length);
  expect(new Set(listed)).toEqual(new Set(FAULT_POINTS));
});
