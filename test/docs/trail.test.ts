/** docs/trail.md: its config is loaded, its commands and anchors exist, and it lists what is in a trail and what can be wrong with one. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config/config.js';
import { TRAIL_PROBLEMS } from '../../src/trail/problems.js';
import { LEDGER_TABLES } from '../../src/ledger/database/ledger-tables.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/trail.md'), 'utf8');
let folder: string;

beforeAll(async () => {
  folder = await scratch('trail');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The names in the first column of a table, by its heading. */
function named(heading: string): string[] {
  const table = page.split(`\n| ${heading} `)[1]?.split('\n\n')[0] ?? '';
  return table
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([\w()]+)`/g)].map(([, name = '']) => name));
}

test('its config is loaded, with its anchors', async () => {
  process.env['SHOP_DATABASE_URL'] = 'postgres://app:secret@127.0.0.1:5432/shop';
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(page.split('```js countersign.config.mjs\n')[1]?.split('```')[0] as string));
  const { tools, trail } = await loadConfig(file);
  expect(trail?.checkpointEverySeconds).toBe(300);
  expect(trail?.anchors?.map(({ name }) => `${name}Anchor()`)).toEqual(named('anchor'));
  await Promise.all(tools.map((tool) => tool.close()));
});

test('every problem that a verifier tells is listed, and no other', () => {
  expect(named('code').toSorted()).toEqual(Object.keys(TRAIL_PROBLEMS).toSorted());
});

test('every kind of entry that the database writes is listed, and no other', async () => {
  const files = Object.values(LEDGER_TABLES.migrations);
  const sql = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  const written: string[] = [
    ...[...sql.matchAll(/trail_row\('(\w+)'/g)].map(([, kind = '']) => kind),
    ...[...sql.matchAll(/append_trail\(\w+\.tenant, '(\w+)'/g)].map(([, kind = '']) => kind),
  ];
  expect(named('kind').toSorted()).toEqual([...new Set(written)].toSorted());
});

test('every command exists, with every option', () => {
  const shown = [...page.matchAll(/^ {4}countersign (\w+) (\w+)(.*)$/gm)];
  expect(shown.length).toBeGreaterThanOrEqual(7);
  for (const [, group, name, rest = ''] of shown) {
    const command = createProgram()
      .commands.find((one) => one.name() === group)
      ?.commands.find((one) => one.name() === name);
    const flags = command?.options.map(({ long }) => long);
    for (const [flag] of (rest.split(' #')[0] ?? '').matchAll(/--[a-z-]+/g)) expect(flags).toContain(flag);
  }
});
