/** A change that matches nothing, or too much, is refused by the count that its input expects. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PostgresInput } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { never } from './conformance.js';
import { openShop, type Shop } from './shop.js';

let shop: Shop;
let tool: Tool<PostgresInput>;

beforeAll(async () => {
  shop = await openShop();
  tool = shop.tool();
});
afterAll(() => shop?.stop());

const update = (where: object, rows?: unknown): object => ({
  op: 'update',
  table: 'orders',
  set: { note: 'x' },
  where,
  ...(rows === undefined ? {} : { rows }),
});

test.each<[string, object, string | undefined]>([
  ['an update of one row', update({ id: 1 }), undefined],
  ['an update that matches nothing', update({ id: 999 }), 'NOTHING_MATCHED'],
  ['one that may match nothing', update({ id: 999 }, { min: 0 }), undefined],
  ['exactly none', update({ id: 999 }, 0), undefined],
  ['exactly two of two', update({ id: { in: [1, 2] } }, 2), undefined],
  ['exactly two of one', update({ id: { in: [1, 999] } }, 2), 'NOTHING_MATCHED'],
  ['exactly one of two', update({ id: { in: [1, 2] } }, 1), 'TOO_MANY_ROWS'],
  ['at least three of two', update({ id: { in: [1, 2] } }, { min: 3 }), 'NOTHING_MATCHED'],
  ['at most one of two', update({ id: { in: [1, 2] } }, { max: 1 }), 'TOO_MANY_ROWS'],
  ['at most one of none', update({ id: 999 }, { max: 1 }), 'NOTHING_MATCHED'],
  ['a delete that matches nothing', { op: 'delete', table: 'orders', where: { id: 999 } }, 'NOTHING_MATCHED'],
  ['a delete of keys that are gone', { op: 'delete', table: 'orders', keys: ['999'] }, 'NOTHING_MATCHED'],
  ['SQL that matches nothing', { op: 'sql', sql: "UPDATE orders SET note = 'x' WHERE id = 999" }, 'NOTHING_MATCHED'],
  ['SQL that may', { op: 'sql', sql: "UPDATE orders SET note = 'x' WHERE id = 999", rows: { min: 0 } }, undefined],
  [
    'an INSERT … SELECT of nothing',
    { op: 'sql', sql: 'INSERT INTO audit (what) SELECT status FROM orders WHERE id = 999' },
    'NOTHING_MATCHED',
  ],
  ['a select that finds nothing', { op: 'select', table: 'orders', where: { id: 999 } }, undefined],
  ['SQL that reads nothing', { op: 'sql', sql: 'SELECT id FROM orders WHERE id = 999' }, undefined],
  ['an insert', { op: 'insert', table: 'audit', rows: [{ what: 'x' }] }, undefined],
])('%s', async (_, raw, code) => {
  const { refusal } = await tool.preview(tool.input.parse(raw), { signal: never() });
  const text = expect.any(String) as string;
  expect(refusal).toEqual(
    code === undefined ? undefined : { code, message: text, field: text, expected: text, fix: text },
  );
});

test.each([{ min: -1 }, { min: 3, max: 2 }, 1.5, 'all', { exact: 2 }])('rows: %j is refused by the schema', (rows) => {
  expect(tool.input.safeParse(update({ id: 1 }, rows)).success).toBe(false);
});
