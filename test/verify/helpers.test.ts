/** The helpers of expectations: what each means, that none claims more than was captured, and that each is charged for its data. */
import { afterAll, describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import type { State } from '../../src/action/snapshot.js';
import { compileExpectation, ExpectationRunner } from '../../src/verify/index.js';

const runner = new ExpectationRunner({ deadlineMs: 20_000 });
afterAll(() => runner.close());

const PRE: State = {
  orders: {
    '1': { id: 1, status: 'open', total: '10.10', lines: [{ sku: 'a' }] },
    '2': { id: 2, status: 'open', total: '20.20', lines: [] },
    '3': { id: 3, status: 'open', total: '0.03', lines: [] },
  },
  empty: {},
};
const POST: State = {
  orders: {
    '1': { id: 1, status: 'paid', total: '10.10', lines: [{ sku: 'a' }] },
    '2': { id: 2, status: 'open', total: '20.20', lines: [] },
    '4': { id: 4, status: 'open', total: '0.04', lines: [] },
  },
  empty: {},
};

function check(cel: string, post: State = POST, pre: State = PRE) {
  const delta = { patch: [], operations: 0, latencyMs: 0 };
  return runner.evaluate(compileExpectation(cel), { pre, post, delta, result: null });
}

describe('a helper that holds', () => {
  test.each([
    'size(rows(post.orders)) == 3',
    'rows(post.orders).all(order, order.id > 0)',
    'rows(post.orders).exists(order, order.status == "paid")',
    'rows(post.orders["1"].lines).exists(line, line.sku == "a")',
    'rows(post.empty).all(row, false)',
    'added("orders") == ["4"]',
    'removed("orders") == ["3"]',
    'updated("orders") == ["1"]',
    'added("empty") == [] && removed("empty") == [] && updated("empty") == []',
    'changed("orders") && changed("orders", "1") && changed("orders", "1", "status")',
    'changed("orders", "3") && changed("orders", "4")',
    'changed("orders", 4)',
    'unchanged("orders", "2") && unchanged("orders", 1, "total") && unchanged("orders", "1", "lines")',
    'unchanged("orders", "1", "lines", 0, "sku")',
    'unchanged("empty")',
    '!unchanged("orders", "1")',
    'pre.orders.filter(id, changed("orders", id)) == ["1", "3"]',
  ])('%s', async (cel) => {
    expect(await check(cel)).toEqual({ name: 'expect', ok: true });
  });
});

describe('what was not captured', () => {
  test.each([
    ['unchanged("order")', 'neither state holds order'],
    ['unchanged("orders", "9")', 'neither state holds orders/9'],
    ['unchanged("orders", "1", "note")', 'neither state holds orders/1/note'],
    ['unchanged("orders", "1", "lines", "length")', 'neither state holds'],
    ['unchanged("constructor")', 'neither state holds constructor'],
    ['unchanged("orders", "1", "__proto__")', 'neither state holds'],
    ['size(added("order")) == 0', 'neither state holds order'],
    ['size(removed("toString")) == 0', 'neither state holds toString'],
    ['sum(post.orders, "amount") == 0', 'a row has no amount'],
  ])('never counts as unchanged: %s', async (cel, detail) => {
    const { ok, detail: said } = await check(cel);
    expect(ok).toBe(false);
    expect(said).toContain(detail);
  });

  test('a missing table counts as empty only when the other state has it', async () => {
    expect(await check('added("orders") == ["1", "2", "4"]', POST, {})).toMatchObject({ ok: true });
    expect(await check('size(removed("orders")) == 3', {}, PRE)).toMatchObject({ ok: true });
  });
});

describe('sum', () => {
  test.each([
    ['the decimals of a table, exactly', 'sum(post.orders, "total") == 30.34'],
    ['integers, as an integer', 'sum(post.orders, "id") == 7 && sum(post.orders, "id") / 2 == 3'],
    ['a list of numbers', 'sum([1, 2, 3]) == 6 && sum([0.1, 0.2]) == 0.3'],
    ['a mapped table', 'sum(rows(post.orders).map(order, order.id * 2)) == 14'],
    ['nothing', 'sum([]) == 0 && sum(post.empty, "any") == 0'],
    ['what a list holds beside nulls', 'sum([1, null, 2]) == 3'],
    ['negative and scientific numbers', 'sum(["-1.5", "1e-3", 1e21, -1e21]) == -1.499'],
    ['a difference that doubles lose', 'sum(["0.1", "0.2", "-0.3"]) == 0.0'],
  ])('of %s', async (_, cel) => {
    expect(await check(cel)).toEqual({ name: 'expect', ok: true });
  });

  test.each([
    ['a text that is no number', 'sum(["12a"]) == 12'],
    ['an empty text', 'sum([""]) == 0'],
    ['true', 'sum([true]) == 1'],
    ['NaN', 'sum(["NaN"]) == 0'],
    ['a number that no double carries', 'sum(["1e999"]) > 0'],
    ['integers beyond 64 bits', 'sum([9223372036854775807, 1]) > 0'],
    ['a scalar', 'sum(1) == 1'],
    ['rows without naming the column', 'sum(post.orders) > 0.0'],
    ['a text of thousands of digits', `sum(["${'9'.repeat(3000)}"]) > 0`],
  ])('of %s is an error', async (_, cel) => {
    const { ok, detail } = await check(cel);
    expect(ok).toBe(false);
    expect(detail).toContain('cannot be evaluated');
  });
});

describe('approx', () => {
  test.each([
    ['approx(0.3, 0.1 + 0.2, 0.001)', true],
    ['approx("10.10", 10.1, 0)', true],
    ['approx(0.4, 0.1, 0.3)', true],
    ['approx(0.4, 0.1, 0.29)', false],
    ['approx(1, 3, 2)', true],
    ['approx(-1, 1, 1.999)', false],
  ])('%s is %s', async (cel, ok) => {
    expect(await check(cel)).toMatchObject({ ok });
  });

  test.each(['approx(1, 1, -1)', 'approx("x", 1, 1)', 'approx(null, 0, 1)', 'approx(1.0 / 0.0, 1, 1)'])(
    '%s is an error',
    async (cel) => {
      expect((await check(cel)).detail).toContain('cannot be evaluated');
    },
  );
});

describe('a helper out of place is refused before any effect', () => {
  test.each([
    ['a list where the verdict should be', 'added("orders")', /does not yield a boolean/],
    ['a number where the verdict should be', 'sum(post.orders, "id")', /does not yield a boolean/],
    ['too few arguments', 'approx(1, 2)', /is not known/],
    ['too many arguments', 'rows(post.orders, 1).all(x, true)', /is not known/],
    ['as a method', 'post.orders.changed("1")', /is not known/],
  ])('%s', (_, cel, message) => {
    expect(() => compileExpectation(cel)).toThrow(message);
  });

  test('a helper reads both states, so both are sent', () => {
    expect(compileExpectation('changed("orders")').uses).toEqual(['post', 'pre']);
    expect(compileExpectation('size(rows(post.orders)) > 0').uses).toEqual(['post']);
  });
});

describe('a helper is charged for its data', () => {
  const many = (count: number, more: Json): State => ({
    t: Object.fromEntries(Array.from({ length: count }, (_, at) => [String(at), { n: at, more }])),
  });

  test.each([
    ['unchanged in a comprehension', 'post.t.all(k, unchanged("t"))'],
    ['added in a comprehension', 'post.t.all(k, size(added("t")) == 0)'],
    ['rows in a comprehension', 'post.t.all(k, size(rows(post.t)) > 0)'],
    ['sum in a comprehension', 'post.t.all(k, sum(post.t, "n") > 0)'],
    ['nested twice', 'post.t.all(k, post.t.all(l, unchanged("t")))'],
  ])('%s over a large table is stopped', async (_, cel) => {
    const state = many(10_000, { a: [1, 2, 3], b: 'x' });
    const start = performance.now();
    const { ok, detail } = await check(cel, state, state);
    expect(ok).toBe(false);
    expect(detail).toContain('too costly');
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('once over the same table is not', async () => {
    const state = many(10_000, { a: [1, 2, 3], b: 'x' });
    expect(await check('unchanged("t") && sum(post.t, "n") == 49995000', state, state)).toMatchObject({ ok: true });
  });

  test('a list of too many rows is not made', async () => {
    const state = { t: Object.fromEntries(Array.from({ length: 100_001 }, (_, at) => [String(at), 1])) };
    expect((await check('size(rows(post.t)) > 0', state, state)).detail).toContain('too costly');
  });
});

test('a failed comparison shows the values of its sides', async () => {
  expect((await check('unchanged("orders", "2") && size(added("orders")) == 2')).detail).toBe(
    'The expectation does not hold: size(added("orders")) == 2 is false (left side is 1).',
  );
});
