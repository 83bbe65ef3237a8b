/** docs/threat-model.md: every threat names a test that exists, of each kind there is. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/root.js';

const STRIDE = [
  'Spoofing',
  'Tampering',
  'Repudiation',
  'Information disclosure',
  'Denial of service',
  'Elevation of privilege',
];

const page = await readFile(path.join(ROOT, 'docs/threat-model.md'), 'utf8');
const threats = [
  ...page.matchAll(/^\| ([A-Z][a-z ]+?) +\| (.+?) +\| .+? +\| \[(\S+)\]\(\.\.\/test\/(\S+)\): `(.+?)` +\|$/gm),
].map(([, kind, threat, named, file, title]) => ({
  kind,
  threat,
  named,
  file: file as string,
  title: title as string,
}));

test('every row of the table is read here, and each kind has some', () => {
  const table = page.slice(page.indexOf('## Threats'), page.indexOf('## What this'));
  const rows = table.split('\n').filter((line) => line.startsWith('| ') && !/^\| (-|kind)/.test(line));
  expect(threats).toHaveLength(rows.length);
  expect(new Set(threats.map(({ kind }) => kind))).toEqual(new Set(STRIDE));
});

test.each(threats)('$threat: $file has a test for it', async ({ named, file, title }) => {
  expect(named).toBe(file);
  const text = await readFile(path.join(ROOT, 'test', file), 'utf8');
  // As a title is written in code: in any quotes, with those of its own escaped.
  const spellings = ["'", '"', '`'].map((quote) => quote + title.replaceAll(quote, `\\${quote}`) + quote);
  expect(spellings.some((spelling) => text.includes(spelling))).toBe(true);
});
