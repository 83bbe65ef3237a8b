/** Effects that happened in part: the check counts what is as expected and names the rest. */
import { describe, expect, test } from 'vitest';
import { checkExpectedRows } from '../../src/tools/index.js';

const closed = { status: 'closed' };
const promised = { orders: { '1': closed, '2': closed, '3': closed, '7': closed, '8': null } };

describe('expected rows and objects', () => {
  test('hold when all are as expected', () => {
    const row = { status: 'closed', other: 1 };
    expect(checkExpectedRows(promised, { orders: { '1': row, '2': row, '3': row, '7': row } })).toEqual({
      name: 'derived',
      ok: true,
    });
    expect(checkExpectedRows({}, {})).toEqual({ name: 'derived', ok: true });
  });

  test('are counted when some differ, and the differences are named', () => {
    const post = { orders: { '1': closed, '2': closed, '3': closed, '7': { status: 'open' }, '8': {} } };
    expect(checkExpectedRows(promised, post).detail).toBe(
      '3 of 5 rows are as expected; orders/7.status is "open", expected "closed"; orders/8 is there, expected to be gone',
    );
  });

  test('that are missing, or lack a member, are named', () => {
    expect(checkExpectedRows({ orders: { '1': closed, '2': closed } }, { orders: { '2': {} } }).detail).toBe(
      '0 of 2 rows are as expected; orders/1 is not there, expected to be; orders/2.status is absent, expected "closed"',
    );
    expect(checkExpectedRows({ orders: { '1': closed } }, {}).detail).toContain('0 of 1 row is as expected');
  });

  test('are only counted when many differ', () => {
    const rows = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [String(at), closed]));
    const { detail = '' } = checkExpectedRows({ orders: rows }, { orders: {} });
    expect(detail.split('; ')).toHaveLength(7);
    expect(detail).toMatch(/; and 95 more$/);
  });

  test('with long values are cut', () => {
    const { detail = '' } = checkExpectedRows(
      { t: { '1': { a: 'x'.repeat(10_000) } } },
      { t: { '1': { a: 'y'.repeat(10_000) } } },
    );
    expect(detail.length).toBeLessThan(300);
  });

  test.each(['constructor', '__proto__', 'toString'])('a row named %s is not found in every object', (key) => {
    expect(checkExpectedRows({ t: { [key]: null } }, { t: {} }).ok).toBe(true);
    expect(checkExpectedRows(Object.fromEntries([[key, { '1': closed }]]), {}).ok).toBe(false);
  });
});
