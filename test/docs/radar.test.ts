/** docs/radar.md: its config is one, it lists every option and every reason there is, and its commands exist. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RADAR_REASONS } from '../../src/action/radar.js';
import { createProgram } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config/config.js';
import type { HttpRadarOptions, PostgresRadarOptions } from '../../src/tools/index.js';
import { DEFAULT_EFFECTS_SCHEMA } from '../../src/tools/postgres/effects.js';
import { eventTriggerStatements } from '../../src/tools/postgres/radar/definition-source.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/radar.md'), 'utf8');
let folder: string;

beforeAll(async () => {
  folder = await scratch('radar');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Names<T> = Record<keyof T, true>;

/** The compiler keeps these complete. */
const POSTGRES: Names<Required<PostgresRadarOptions>> = {
  url: true,
  connection: true,
  writers: true,
  triggers: true,
  everyMs: true,
  maxLagBytes: true,
  slot: true,
  required: true,
};
const HTTP: Names<Required<HttpRadarOptions>> = {
  get: true,
  at: true,
  pages: true,
  since: true,
  id: true,
  key: true,
  time: true,
  kind: true,
  kinds: true,
  user: true,
  writers: true,
  everyMs: true,
  overlapMs: true,
  required: true,
};

/** The first cells of the table that follows a text. */
function rowsAfter(text: string): readonly (string | undefined)[] {
  const [, after = ''] = page.split(text);
  const table = after.slice(after.indexOf('\n| ') + 1).split('\n\n')[0] ?? '';
  return [...table.matchAll(/^\| `([a-zA-Z_]+)`/gm)].map(([, name]) => name);
}

test('the config loads, and both tools are watched', async () => {
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(page.split('```js countersign.config.mjs\n')[1]?.split('```')[0] as string));
  Object.assign(process.env, {
    SHOP_DATABASE_URL: 'postgres://tool:x@db.example/shop',
    SHOP_RADAR_URL: 'postgres://radar:x@db.example/shop',
  });
  const { tools } = await loadConfig(file);
  expect(tools.map(({ radar }) => radar?.kind)).toEqual(['postgres', 'http']);
  await Promise.all(tools.map((tool) => tool.close()));
});

test('every option and every reason is listed, and no other', () => {
  expect(rowsAfter('## What an alert is')).toEqual(RADAR_REASONS);
  expect(rowsAfter('\n## `postgres`')).toEqual(Object.keys(POSTGRES));
  expect(rowsAfter('\n## `http`')).toEqual(Object.keys(HTTP));
});

test('the event triggers that an administrator makes are those that the radar knows', () => {
  const shown = page.split('```sql event-triggers.sql\n')[1]?.split('```')[0];
  const statements = eventTriggerStatements(`${DEFAULT_EFFECTS_SCHEMA}.note_definition`);
  expect(shown).toBe(statements.map((statement) => `${statement};\n`).join(''));
});

test('every command exists, with every option', () => {
  const shown = [...page.matchAll(/^ {4}countersign radar (\w+)(.*)$/gm)];
  expect(shown).toHaveLength(3);
  const radar = createProgram().commands.find((one) => one.name() === 'radar');
  for (const [, name, rest = ''] of shown) {
    const command = radar?.commands.find((one) => one.name() === name);
    const flags = command?.options.map(({ long }) => long);
    expect(command).toBeDefined();
    for (const [flag] of (rest.split(' #')[0] ?? '').matchAll(/--[a-z-]+/g)) expect(flags).toContain(flag);
  }
});
