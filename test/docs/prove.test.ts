/** docs/prove.md: it lists every guarantee, its commands and options exist, and its snippets do what it says. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { transform } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { readProposals } from '../../src/prove/proposals.js';
import { GUARANTEES } from '../../src/prove/registry.js';
import { madeAt } from '../../src/prove/tools.js';
import type { Tool } from '../../src/tools/index.js';
import { ROOT } from '../support/root.js';
import { scratch, snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/prove.md'), 'utf8');
const snippets = snippetsOf(page);
let folder: string;

beforeAll(async () => {
  folder = await scratch('prove');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function saved(name: string, text = snippets.get(name) as string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
}

test('every guarantee is listed under its family, and no other', () => {
  const listed = [...page.matchAll(/^\| (?:\*\*(\w+)\*\*|`([a-z-]+)`) +\| .*\|$/gm)].map(
    ([, family, id]) => family ?? id,
  );
  const families = [...new Set(GUARANTEES.map(({ family }) => family))];
  const expected = families.flatMap((family) => [
    family,
    ...GUARANTEES.filter((one) => one.family === family).map(({ id }) => id),
  ]);
  expect(listed.filter((name) => expected.includes(name as string))).toEqual(expected);
});

test('every option that it shows is one of the command', () => {
  const flags = createProgram()
    .commands.find((one) => one.name() === 'prove')
    ?.options.map(({ long }) => long);
  const shown = [...page.matchAll(/countersign prove[^|#\n]*/g)].flatMap(([line]) => line.match(/--[a-z-]+/g) ?? []);
  expect(shown.length).toBeGreaterThan(5);
  for (const flag of shown) expect([...(flags ?? []), '--json']).toContain(flag);
});

test('the result that it shows is one of a guarantee that is tried', () => {
  const [, shown = '{}'] = /^```json\n([^]*?)^```/m.exec(page) ?? [];
  const { id, family, promise, status, detail, fix, ...more } = JSON.parse(shown) as Record<string, unknown>;
  const guarantee = GUARANTEES.find((one) => one.id === id);
  expect({ family, promise }).toEqual({ family: guarantee?.family, promise: guarantee?.promise });
  expect([status, typeof detail, typeof fix]).toEqual(['broken', 'string', 'string']);
  expect(Object.keys(more)).toEqual(['milliseconds']);
});

test('its proposals are read, each with another number each time', async () => {
  const proposals = await readProposals(await saved('proposals.yaml'));
  const [refund, note, order] = proposals.get('payments') ?? [];
  expect(refund?.input(3)).toEqual({ op: 'refund', path: { id: 'order-1' }, body: { amount: 1 } });
  expect([note?.input(1), note?.input(2)]).toMatchObject([{ body: { text: 'note 1' } }, { body: { text: 'note 2' } }]);
  expect([refund?.actionType, order?.actionType]).toEqual(['CALL_API', 'READ']);
});

test('its tool is made anew at another place, with another credential', async () => {
  const { code } = await transform(snippets.get('tool.ts') as string, { loader: 'ts' });
  const made: unknown[] = [];
  const operationsOf = (options: unknown): object => {
    made.push(options);
    return { name: 'crm', environment: 'production' };
  };
  Object.assign(globalThis, { operationsOf });
  process.env['PROVING_SECRET'] = 'canary';
  const { crm } = (await import(await saved('tool.mjs', code))) as { crm: (options: object) => Tool };
  const tool = crm({ baseUrl: 'https://crm.example', token: 'real' });
  expect(tool.elsewhere?.isOwn('https://crm.example/sandbox')).toBe(true);
  madeAt(tool, { url: 'http://127.0.0.1:1', secret: 'env:PROVING_SECRET' });
  expect(made.at(-1)).toEqual({ baseUrl: 'http://127.0.0.1:1', token: 'canary' });
  delete process.env['PROVING_SECRET'];
});
