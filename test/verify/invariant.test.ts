/** Invariants: every violation is found, and an action fails only when it caused the violation. */
import { afterAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Json } from '../../src/action/json.js';
import type { State } from '../../src/action/snapshot.js';
import {
  checkInvariants,
  compileInvariants,
  ExpectationRunner,
  rehearseInvariants,
  type Invariant,
} from '../../src/verify/index.js';

const runner = new ExpectationRunner({ deadlineMs: 10_000 });
afterAll(() => runner.close());

const STOCK = {
  name: 'stock-never-negative',
  cel: 'rows(state.products).all(product, product.stock >= 0)',
  reason: 'Stock would be negative.',
};

function compiled(...list: { name: string; cel: string; reason: string }[]): readonly Invariant[] {
  return compileInvariants({ shop: list }, ['shop']).get('shop') ?? [];
}

const stock = (...amounts: Json[]): State => ({
  products: Object.fromEntries(amounts.map((amount, at) => [String(at + 1), { stock: amount }])),
});

async function checked(pre: State, post: State, invariant = STOCK) {
  const [check] = await checkInvariants(compiled(invariant), { pre, post }, runner);
  return check;
}

describe('an invariant', () => {
  test('that holds afterwards is a check that holds', async () => {
    expect(await checked(stock(3), stock(0))).toEqual({ name: 'invariant.stock-never-negative', ok: true });
  });

  test('that the action breaks is a mismatch with its reason', async () => {
    expect(await checked(stock(3, 1), stock(3, -1))).toEqual({
      name: 'invariant.stock-never-negative',
      ok: false,
      detail:
        'Stock would be negative. (the invariant does not hold: rows(state.products).all(product, product.stock >= 0) is false)',
    });
  });

  test('that the action repairs is a check that holds', async () => {
    expect(await checked(stock(-3), stock(1))).toEqual({ name: 'invariant.stock-never-negative', ok: true });
  });

  test('that was broken before is reported, and does not fail the action', async () => {
    expect(await checked(stock(-3, 5), stock(-3, 4))).toEqual({
      name: 'invariant.stock-never-negative',
      ok: true,
      detail: 'It was broken before, and not by this action: Stock would be negative.',
    });
    expect(await checked(stock(-3), stock(-1))).toMatchObject({ ok: true });
  });

  test('that was broken before fails an action that breaks it elsewhere', async () => {
    expect(await checked(stock(-3, 5), stock(-3, -4))).toMatchObject({ ok: false });
    const inserted: State = { products: { ...(stock(-3)['products'] as object), '9': { stock: -1 } } };
    expect(await checked(stock(-3), inserted)).toMatchObject({ ok: false });
  });

  test('over a total that was broken before is blamed on what made it worse alone', async () => {
    const total = { name: 'total', cel: 'sum(state.products, "stock") >= 0', reason: 'Less than nothing.' };
    expect(await checked(stock(-9, 5), stock(-9, 6), total)).toMatchObject({ ok: true });
    expect(await checked(stock(-9, 5), stock(-9, -1), total)).toMatchObject({ ok: false });
  });

  test('that cannot be evaluated is broken, whatever it was before', async () => {
    const check = await checked(stock('many'), stock('many'));
    expect(check).toMatchObject({ ok: false, detail: expect.stringContaining('cannot be evaluated') as string });
    expect(await checked({}, stock(-1))).toMatchObject({ ok: false });
    expect(await checked(stock(-1), stock('many'))).toMatchObject({ ok: false });
  });

  test('that names a table which was not captured does not apply', async () => {
    expect(await checked({ orders: {} }, { orders: {} })).toBeUndefined();
    const index = { ...STOCK, cel: 'state["products"].all(id, id in state.orders)' };
    expect(await checked(stock(1), stock(1), index)).toBeUndefined();
    expect(await checked(stock(1), { ...stock(1), orders: { '1': {} } }, index)).toMatchObject({ ok: true });
  });

  test('by a key that is no text names no table', () => {
    expect(compiled({ name: 'odd', cel: 'state[1] == 2', reason: 'Odd.' })[0]?.tables).toEqual([]);
  });

  test('over the whole state always applies', async () => {
    const any = { name: 'any', cel: 'state.all(table, size(state[table]) <= 1)', reason: 'One row at a time.' };
    expect(await checked({}, stock(1, 2), any)).toMatchObject({ ok: false });
  });

  test('over a list is checked on all of it: only rows are told apart', async () => {
    const short = { name: 'short', cel: 'size(state.log) <= 1', reason: 'Too long.' };
    expect(await checked({ log: [1, 2] }, { log: [1, 2, 3, 4] }, short)).toMatchObject({ ok: true });
    expect(await checked({ log: [1] }, { log: [1, 2] }, short)).toMatchObject({ ok: false });
    const none = { name: 'none', cel: 'state.t == null || size(state.t) < 1', reason: 'Not empty.' };
    expect(await checked({ t: { a: 1 } }, { t: { a: 1 } }, none)).toMatchObject({ ok: true });
    expect(await checked({ t: null }, { t: { a: 1 } }, none)).toMatchObject({ ok: false });
  });

  test('is blamed by the rows that changed, beside all that is no table of rows or is in one state only', async () => {
    const strict = {
      name: 'strict',
      cel: 'state.mode == "strict" && size(state.floors) == 1 ? rows(state.products).all(p, p.stock >= 0) : true',
      reason: 'Less than nothing.',
    };
    const rest = { mode: 'strict', floors: [0], nothing: null, flag: true };
    expect(await checked({ ...stock(-3, 5), ...rest }, { ...stock(-3, -4), ...rest }, strict)).toMatchObject({
      ok: false,
    });
    const before: State = { ...stock(-3, 5), ...rest, gone: { '1': {} } };
    const after: State = { ...stock(-3, 4), ...rest, come: { '1': {} } };
    expect(await checked(before, after, strict)).toEqual({
      name: 'invariant.strict',
      ok: true,
      detail: 'It was broken before, and not by this action: Less than nothing.',
    });
  });

  test('is a failed check when the evaluator is closed', async () => {
    const closed = new ExpectationRunner();
    await closed.close();
    expect(await checkInvariants(compiled(STOCK), { pre: stock(1), post: stock(1) }, closed)).toMatchObject([
      { ok: false },
    ]);
  });

  test('that is too costly on the captured rows is found before the effect', async () => {
    const costly = compiled({
      name: 'pairs',
      cel: 'rows(state.products).all(one, rows(state.products).all(other, one.stock + other.stock >= 0))',
      reason: 'Any two.',
    });
    const large = stock(...Array.from({ length: 5000 }, () => 1));
    await expect(rehearseInvariants(costly, large, runner)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'invariants.pairs',
      message: expect.stringMatching(/^The invariant pairs .+\.$/) as string,
      expected: 'an expression that is cheap on as many rows as one action may touch',
      fix: 'Have the operator simplify it, or touch fewer rows.',
    });
    await expect(rehearseInvariants(costly, stock(1, 2), runner)).resolves.toBeUndefined();
    await expect(rehearseInvariants(compiled(STOCK), stock(-1), runner)).resolves.toBeUndefined();
  });
});

describe('a config with invalid invariants is refused', () => {
  const refusal = (config: unknown): CountersignError => {
    try {
      compileInvariants(config as Parameters<typeof compileInvariants>[0], ['shop']);
    } catch (error) {
      if (error instanceof CountersignError) return error;
      throw error;
    }
    throw new Error('compiled');
  };

  test.each<[string, unknown, string]>([
    ['for a tool that is not there', { shpo: [STOCK] }, 'invariants.shpo'],
    ['that is no list', { shop: STOCK }, 'invariants.shop'],
    ['without a reason', { shop: [{ name: 'a', cel: 'true' }] }, 'invariants.shop.0.reason'],
    ['with a name that is none', { shop: [{ ...STOCK, name: 'a.b' }] }, 'invariants.shop.0.name'],
    ['with a member that means nothing', { shop: [{ ...STOCK, severity: 'low' }] }, 'invariants.shop.0'],
    ['twice of a name', { shop: [STOCK, STOCK] }, 'invariants.shop.1.name'],
    ['that does not compile', { shop: [{ ...STOCK, cel: 'state.products ==' }] }, 'invariants.shop.0.cel'],
    ['over the state before', { shop: [{ ...STOCK, cel: 'size(pre.products) > 0' }] }, 'invariants.shop.0.cel'],
    ['with a helper over changes', { shop: [{ ...STOCK, cel: 'unchanged("products")' }] }, 'invariants.shop.0.cel'],
    ['that is no condition', { shop: [{ ...STOCK, cel: 'sum(state.products, "stock")' }] }, 'invariants.shop.0.cel'],
    ['that is empty', { shop: [{ ...STOCK, cel: '' }] }, 'invariants.shop.0.cel'],
    [
      'that are too many',
      { shop: Array.from({ length: 51 }, (_, at) => ({ ...STOCK, name: `n${at}` })) },
      'invariants.shop',
    ],
  ])('%s', (_, config, field) => {
    const error = refusal(config);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', field });
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });

  test('without a place where the text as a whole is wrong', () => {
    expect(refusal({ shop: [{ ...STOCK, cel: '' }] }).message).toBe(
      'The invariant stock-never-negative has 0 characters.',
    );
  });

  test('with the place of what does not compile, and with what is expected', () => {
    expect(refusal({ shop: [{ ...STOCK, cel: 'state.products ==' }] })).toMatchObject({
      message: expect.stringMatching(
        /^The invariant stock-never-negative does not compile: .+ \(line 1, column \d+\)\.$/,
      ) as string,
      cause: expect.anything() as Error,
    });
    expect(refusal({ shop: [{ ...STOCK, cel: '' }] }).message).toMatch(
      /^The invariant stock-never-negative has 0 characters[^(]*\.$/,
    );
    expect(refusal({ shop: [STOCK, STOCK] })).toMatchObject({
      message: 'There are two invariants named stock-never-negative.',
      expected: 'a name that no other invariant of the tool has',
    });
  });
});
