/** docs/mutation.md has a score for each part that is mutated, and explains each of its survivors. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { PARTS } from '../mutation/parts.js';
import { ROOT } from '../support/root.js';

/** The cells of a table's rows. Its head and the line below have no number where the first has one. */
function rowsOf(text: string, numbered: number): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter((cells) => /^\d+$/.test(cells[numbered] ?? ''));
}

test('scores are of all parts, and follow from their figures; of each survivor a reason is told', async () => {
  const page = await readFile(`${ROOT}/docs/mutation.md`, 'utf8');
  const [scores = '', survivors = ''] = page.split('\n## The survivors\n');
  const told = survivors.split('\n### ').slice(1);
  const explained = told.map((section) => {
    const counts = rowsOf(section, 0).map(([count]) => Number(count));
    return [section.slice(0, section.indexOf('\n')), counts.reduce((sum, count) => sum + count, 0)];
  });
  const scored = rowsOf(scores, 2).map((cells) => {
    const [killed = 0, timeout = 0, survived = 0, notCovered = 0] = cells.slice(2, 6).map(Number);
    const share = (killed + timeout) / (killed + timeout + survived + notCovered);
    return {
      name: cells[0],
      score: cells[6],
      is: `${Math.floor(share * 10_000) / 100} %`,
      left: survived + notCovered,
    };
  });
  expect(scored.map(({ name }) => name)).toEqual(PARTS.map(({ name }) => name));
  expect(scored.map(({ score }) => score)).toEqual(scored.map(({ is }) => is));
  expect(explained).toEqual(scored.map(({ name, left }) => [name, left]));
});
