/** docs/verification.md: its proposal, its config, its helpers and its tool code are run as they stand. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseProposal } from '../../src/action/proposal.js';
import type { Check } from '../../src/action/outcome.js';
import type { State } from '../../src/action/snapshot.js';
import {
  allHold,
  compileExpectation,
  compileExpectations,
  ExpectationRunner,
  loadVerification,
  createDelta,
} from '../../src/verify/index.js';
import { loadConfig } from '../../src/config/config.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(`${ROOT}/docs/verification.md`, 'utf8');
const runner = new ExpectationRunner({ deadlineMs: 20_000 });
let folder: string;

beforeAll(async () => {
  folder = await scratch('verification');
});
afterAll(async () => {
  await runner.close();
  await rm(folder, { recursive: true, force: true });
});

function snippet(info: string): string {
  const block = page.split('```').find((text) => text.startsWith(`${info}\n`));
  if (block === undefined) throw new Error(`docs/verification.md has no snippet ${info}`);
  return onSources(block.slice(info.length + 1));
}

async function load(info: string, file: string, wrap = (code: string) => code): Promise<Record<string, unknown>> {
  const target = path.join(folder, file);
  await writeFile(target, wrap(snippet(info)));
  return (await import(pathToFileURL(target).href)) as Record<string, unknown>;
}

const PRE: State = { orders: { '7': { status: 'paid', total: '100.00' }, '8': { status: 'paid', total: '20.30' } } };
const POST: State = {
  orders: { '7': { status: 'refunded', total: '100.00' }, '8': { status: 'paid', total: '20.30' } },
};
const values = { pre: PRE, post: POST, delta: createDelta(PRE, POST, 1), result: null };

test('the proposal is one, and its expectations do what they say', async () => {
  const { default: given } = await load(
    'js proposal',
    'proposal.mjs',
    (code) => `export default ${code.trim().replace(/;?$/, ';')}`,
  );
  const proposal = parseProposal({ actionId: 'a', ...(given as object) });
  const checks: Check[] = [];
  for (const expectation of compileExpectations(proposal.expect))
    checks.push(await runner.evaluate(expectation, values));
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
    ['expect.refunded', true],
    ['expect.nothing-else', true],
    ['expect.on-the-books', false],
  ]);
  expect(allHold(checks)).toBe(false);
});

const HELPERS = [...page.matchAll(/^\| `(\w+)\(.*\| `([^`]+)`\s*\|$/gm)];

describe('the example of each helper holds', () => {
  test.each(HELPERS.map(([, name, example]) => [name as string, example as string]))(
    '%s: %s',
    async (name, example) => {
      expect(example).toContain(`${name}(`);
      expect(await runner.evaluate(compileExpectation(example), values)).toEqual({ name: 'expect', ok: true });
    },
  );

  test('and no helper is left out', () => {
    const refused = (() => {
      try {
        compileExpectation('nothing()');
      } catch (error) {
        return error as { readonly expected: string };
      }
      throw new Error('compiled');
    })();
    const known = refused.expected.replace('one of: ', '').split(', ');
    const ofCel = known.slice(0, known.indexOf('getMilliseconds') + 1);
    expect(known.slice(ofCel.length).sort()).toEqual(HELPERS.map(([, name]) => name as string).sort());
  });
});

test('the config is one, and its invariants compile', async () => {
  process.env['SHOP_DATABASE_URL'] = 'postgres://nobody@127.0.0.1:1/none';
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, snippet('js countersign.config.mjs'));
  const config = await loadConfig(file);
  const { invariants, semantic } = await loadVerification(config, config.tools);
  expect(invariants.get('shop-db')?.map(({ name, tables }) => [name, tables])).toEqual([
    ['stock-never-negative', ['products']],
  ]);
  expect(semantic).toBeUndefined();
  expect(config.tools[0]).toHaveProperty('sample');
  await Promise.all(config.tools.map((tool) => tool.close()));
});

test("the tool's check says what the page says", async () => {
  const { check } = await load('ts verify.ts', 'verify.ts');
  expect((check as Check).ok).toBe(false);
  const named = (check as Check).detail?.replace('0 of 2 rows', '3 of 5 rows');
  expect(page).toContain(`    ${named}\n`);
});
