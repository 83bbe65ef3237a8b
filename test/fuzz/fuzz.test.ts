/** What is read from outside is taken as it should be or refused with a code, whatever it is. `npm run fuzz` does the same for longer. */
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.js';
import { CORPUS } from './target.js';
import { TARGETS } from './targets.js';

test('every target keeps its promise, on its corpus and on new cases', async () => {
  const found = [];
  for (const target of TARGETS) found.push(await fuzz(target, { cases: 40, seed: 20261129 }));
  expect(found.filter(({ broken }) => broken !== undefined)).toEqual([]);
  expect(found.every(({ cases }) => cases >= 40)).toBe(true);
});

test('every corpus has a target, and every target a corpus', async () => {
  const folders = (await readdir(CORPUS, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual(TARGETS.map(({ name }) => name).sort());
});

test('a promise that is broken is found, with the smallest text that breaks it', async () => {
  const sql = TARGETS.find(({ name }) => name === 'sql');
  if (sql === undefined) throw new Error('there is no target sql');
  const { broken } = await fuzz(
    {
      ...sql,
      feed: (text) => {
        if (text.includes('/*')) throw new Error('a comment');
      },
    },
    { cases: 2_000, seed: 1 },
  );
  expect(broken).toMatchObject({ why: 'Error: a comment' });
  expect(broken?.text).toContain('/*');
});
