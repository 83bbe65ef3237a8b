/** docs/oversight.md: its table of findings is the whole one, and every test that it names as a proof exists. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { canaryProposal } from '../../src/action/canary-template.js';
import { OVERSIGHT_FINDINGS } from '../../src/action/oversight.js';
import { loadConfig } from '../../src/config/config.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch, snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/oversight.md'), 'utf8');

test('every finding is in the table, and no other', () => {
  expect([...page.matchAll(/^\| `(\w+)` +\|/gm)].map(([, finding]) => finding)).toEqual([...OVERSIGHT_FINDINGS]);
});

const named = [...page.matchAll(/`(test\/[^`]+\.test\.ts)`: "([^"]+)"/g)].map(([, file = '', title = '']) => [
  title,
  file,
]);

test('every row but that of what is not built names a test', () => {
  const rows = page.split('\n').filter((line) => /^\| (Art\.|ASI\d|R\d)/.test(line));
  expect(rows.length).toBeGreaterThan(25);
  const without = rows.filter((row) => !row.includes('.test.ts'));
  expect(without.map((row) => row.split('|')[1]?.trim())).toEqual(['R7 Semantic distance']);
  expect(named).toHaveLength(rows.length - without.length);
});

test.each(named)('%s: it is in %s', async (title, file) => {
  const text = await readFile(path.join(ROOT, file), 'utf8');
  expect([`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => text.includes(quoted))).toBe(true);
});

test('the canary of the example is one that the config takes and that the tool can read', async () => {
  process.env['SHOP_DATABASE_URL'] = 'postgres://app:secret@127.0.0.1:5432/shop';
  const folder = await scratch('oversight');
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(snippetsOf(page).get('countersign.config.mjs') as string));
  const { tools, oversight } = await loadConfig(file);
  const template = oversight?.canaries?.templates?.['purge-sessions'];
  const proposal = template && canaryProposal('c-1', template);
  expect(tools[0]?.input.safeParse(proposal?.input)).toMatchObject({ success: true });
  await Promise.all(tools.map((tool) => tool.close()));
  await rm(folder, { recursive: true, force: true });
});
