/** docs/oversight.md: its table of findings is the whole one, and every test that it names as a proof exists. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { OVERSIGHT_FINDINGS } from '../../src/action/oversight.js';
import { ROOT } from '../support/root.js';

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
