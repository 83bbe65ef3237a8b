/** One exported type name means one thing: whoever reads `Standing` need not ask whose. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/root.js';

const FOLDERS = ['src', 'activities', 'workflows'];
const DECLARATION = /^export (?:declare )?(?:abstract )?(?:interface|type|class) (\w+)/gm;

async function modules(): Promise<readonly string[]> {
  const found = await Promise.all(
    FOLDERS.map(async (folder) => {
      const names = await readdir(path.join(ROOT, folder), { recursive: true });
      return names.filter((name) => /\.tsx?$/.test(name)).map((name) => path.join(folder, name));
    }),
  );
  return found.flat();
}

test('no two modules export different types under one name', async () => {
  const declared = new Map<string, string[]>();
  for (const file of await modules()) {
    const text = await readFile(path.join(ROOT, file), 'utf8');
    for (const [, name = ''] of text.matchAll(DECLARATION)) declared.set(name, [...(declared.get(name) ?? []), file]);
  }
  expect(declared.size).toBeGreaterThan(500);
  expect([...declared].filter(([, files]) => files.length > 1)).toEqual([]);
});
