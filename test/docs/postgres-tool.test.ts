/** Every snippet of docs/postgres-tool.md runs: the role on a shop's database, the config as that role, the proposal on the config. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseProposal } from '../../src/action/proposal.js';
import { EFFECTS_DDL } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { allHold, createDelta, ExpectationRunner, verifyEffect } from '../../src/verify/index.js';
import { loadConfig } from '../../src/config/config.js';
import { ROOT } from '../support/root.js';
import { act } from '../tools/conformance.js';
import { openShop, type Shop } from '../tools/shop.js';
import { onSources, scratch } from './support.js';

const ROLE = 'countersign_shop';
const page = await readFile(path.join(ROOT, 'docs/postgres-tool.md'), 'utf8');
let folder: string;
let shop: Shop;

beforeAll(async () => {
  folder = await scratch('postgres-tool');
  shop = await openShop();
});
afterAll(async () => {
  // The role belongs to the whole server, which other tests share.
  await shop.sql(`DROP OWNED BY ${ROLE}`);
  await shop.sql(`DROP ROLE ${ROLE}`);
  await shop.stop();
  await rm(folder, { recursive: true, force: true });
});

function snippet(name: string): string {
  const [, code] = new RegExp(`\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\\n(.*?)\`\`\``, 's').exec(page) ?? [];
  if (code === undefined) throw new Error(`docs/postgres-tool.md has no snippet ${name}`);
  return onSources(code);
}

test('role.sql, countersign.config.mjs and proposal.json: the role suffices to make the effect, which is verified', async () => {
  await shop.sql(snippet('role.sql'));
  const url = new URL(shop.url);
  url.username = ROLE;
  url.password = 'change-me';
  process.env['SHOP_DATABASE_URL'] = url.href;
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, snippet('countersign.config.mjs'));
  const [tool] = (await loadConfig(file)).tools;
  if (tool === undefined) throw new Error('the config has no tool');
  const proposal = parseProposal(JSON.parse(snippet('proposal.json')));

  const { pre, post, input, preview, execution } = await act(tool, proposal.input);
  const runner = new ExpectationRunner();
  const delta = createDelta(pre, post, 0);
  const facts = { tool, input, preview, pre, post, delta, execution, runner };
  const checks = await verifyEffect({ ...facts, expect: proposal.expect ?? '' });
  await runner.close();
  await tool.close();
  expect(checks.map(({ name }) => name)).toContain('frame.affectedTables');
  expect(allHold(checks)).toBe(true);
  expect(await shop.sql('SELECT status FROM orders WHERE id = 3')).toEqual([{ status: 'cancelled' }]);
});

test('exports.mjs: a TRUNCATE leaves a copy in the schema, and the way back is the one of the page', async () => {
  await shop.sql(`CREATE SCHEMA countersign_exports; CREATE TABLE visits (id int PRIMARY KEY);
    INSERT INTO visits SELECT generate_series(1, 10001)`);
  process.env['SHOP_DATABASE_URL'] = shop.url;
  const file = path.join(folder, 'exports.mjs');
  await writeFile(file, snippet('exports.mjs'));
  const { shop: tool } = (await import(file)) as { shop: Tool };
  const { checks, execution } = await act(tool, { op: 'sql', sql: 'TRUNCATE visits' });
  await tool.close();
  expect(allHold(checks)).toBe(true);
  const [copy] = (execution.result as { exports: readonly { to: string }[] }).exports;
  expect(page).toContain('INSERT INTO orders SELECT * FROM countersign_exports.');
  await shop.sql(`INSERT INTO visits SELECT * FROM ${copy?.to}`);
  expect(await shop.sql('SELECT count(*)::int AS n FROM visits')).toEqual([{ n: 10_001 }]);
});

test('the table of effects is the one that the tool makes by itself', () => {
  for (const statement of EFFECTS_DDL.split(';').filter(Boolean)) {
    expect(page.replaceAll('"', '')).toContain(statement.trim().replaceAll('"', ''));
  }
});

test('the table of options names each option', async () => {
  const source = await readFile(path.join(ROOT, 'src/tools/postgres/options.ts'), 'utf8');
  const [, members = ''] = /export interface PostgresOptions \{(.*?)\n\}/s.exec(source) ?? [];
  const options = [...members.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name);
  const documented = [...page.slice(page.indexOf('## Options')).matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(options.length).toBeGreaterThan(10);
  expect(documented).toEqual(options);
});
