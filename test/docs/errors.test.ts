/** docs/errors.md lists every code, with its cause and what to do, and no other. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/action/errors.js';
import { ROOT } from '../support/root.js';

test('every code is documented with cause and fix', async () => {
  const text = await readFile(`${ROOT}/docs/errors.md`, 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z_]+)`\s*\| (.+?)\s*\| (.+?)\s*\|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, means]) => [code, means]))).toEqual(ERROR_CODES);
  for (const [, , , fix] of rows) expect(fix?.length).toBeGreaterThan(10);
});
