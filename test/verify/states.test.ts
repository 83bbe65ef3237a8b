/** What is read of states without evaluating anything: what a rehearsal leaves, which tables an invariant needs, and what is configured. */
import { describe, expect, test } from 'vitest';
import type { Rehearsal } from '../../src/action/rehearsal.js';
import type { Delta } from '../../src/action/snapshot.js';
import type { Check } from '../../src/action/outcome.js';
import { compileInvariants } from '../../src/verify/invariant.js';
import { describeOutcome, MAX_DESCRIPTION_LENGTH } from '../../src/verify/outcome-description.js';
import { rehearsedState } from '../../src/verify/rehearsed-state.js';
import { loadVerification } from '../../src/verify/settings.js';

describe('the state after a rehearsal', () => {
  const PRE = { orders: { '1': { qty: 1 }, '2': { qty: 2 } }, items: { '9': { n: 9 } } };
  const rehearsal = (rows: Rehearsal['rows'], varying: Rehearsal['varying'] = {}) => ({ rows, varying }) as Rehearsal;

  test('has the rows that were changed, made and taken away, and all others as they were', () => {
    const rows = {
      orders: {
        '1': { before: { qty: 1 }, after: { qty: 5 } },
        '2': { before: { qty: 2 }, after: null },
        '3': { before: null, after: { qty: 3 } },
      },
      log: { a: { before: null, after: { at: 1 } } },
    } as unknown as Rehearsal['rows'];
    expect(rehearsedState(PRE, rehearsal(rows))).toEqual({
      orders: { '1': { qty: 5 }, '3': { qty: 3 } },
      items: { '9': { n: 9 } },
      log: { a: { at: 1 } },
    });
    // What was captured stays as it is.
    expect(PRE.orders).toEqual({ '1': { qty: 1 }, '2': { qty: 2 } });
  });

  test('is what it was where nothing was changed', () => {
    expect(rehearsedState(PRE, rehearsal({}))).toEqual(PRE);
  });

  test('is not known where rows were too many, or have values that differ each time', () => {
    expect(rehearsedState(PRE, rehearsal(undefined))).toBeUndefined();
    expect(rehearsedState(PRE, rehearsal({}, { orders: ['at'] }))).toBeUndefined();
  });
});

describe('an invariant needs the tables that it names', () => {
  const tablesOf = (cel: string) =>
    compileInvariants({ shop: [{ name: 'i', cel, reason: 'r' }] }, ['shop']).get('shop')?.[0]?.tables;

  test.each<[string, readonly string[]]>([
    ['true', []],
    ['state.b == state.a', ['a', 'b']],
    ['state.a == state.a', ['a']],
    ['state["order items"] == state.a', ['a', 'order items']],
    ['state.a["x"] == 1', ['a']],
    ['"x" + "y" == "xy"', []],
    ['rows(state.a).all(row, row.n >= 0)', ['a']],
    ['[state.a.n, state.b.n] == [1, 2]', ['a', 'b']],
    ['{"k": state.a.n} == {"k": state.b.n}', ['a', 'b']],
    ['{state.a.n: 1} == {"k": 1}', ['a']],
    ['state.a.n > 0 ? state.b.n > 0 : state.c.n > 0', ['a', 'b', 'c']],
    ['state.a.name.startsWith(state.b.name)', ['a', 'b']],
    ['!(state.a.n > 0)', ['a']],
    ['rows(state.a).all(row, row.n in [1, state.b.n])', ['a', 'b']],
  ])('%s', (cel, tables) => {
    expect(tablesOf(cel)).toEqual(tables);
  });
});

describe('what is configured of verification', () => {
  const invariant = { name: 'stock', cel: 'rows(state.products).all(p, p.stock >= 0)', reason: 'Below nothing.' };

  test('is nothing by default', async () => {
    const settings = await loadVerification({}, []);
    expect(settings.invariants.size).toBe(0);
    expect(settings).not.toHaveProperty('semantic');
  });

  test('are invariants of tools that there are', async () => {
    const { invariants } = await loadVerification({ invariants: { shop: [invariant] } }, [{ name: 'shop' }]);
    expect(invariants.get('shop')?.map(({ name }) => name)).toEqual(['stock']);
    const other = loadVerification({ invariants: { shop: [invariant] } }, [{ name: 'crm' }]);
    await expect(other).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'invariants.shop',
      expected: 'one of: crm',
    });
  });

  test('and a semantic check only with a model', async () => {
    const semantic = { model: 'gpt' as unknown as object };
    await expect(loadVerification({ semantic }, [])).rejects.toMatchObject({ field: 'semantic.model' });
  });
});

describe('an outcome in words', () => {
  const delta = (patch: Delta['patch'], operations = patch.length): Delta => ({ patch, operations, latencyMs: 0 });
  const held: readonly Check[] = [{ name: 'derived', ok: true }];

  test('says how many changes it does not show', () => {
    const one = { op: 'replace', path: '/orders/1/qty', value: 2 } as const;
    expect(describeOutcome(delta([one], 4), held)).toContain('And 3 more changes.');
    expect(describeOutcome(delta([one]), held)).not.toContain('more changes');
  });

  test('is never longer than a model reads, whatever was changed', () => {
    const long = 'x'.repeat(5_000);
    const patch = Array.from(
      { length: 200 },
      (_, at) => ({ op: 'add', path: `/${long}/${at}/name`, value: long }) as const,
    );
    const failed = Array.from({ length: 50 }, (_, at): Check => ({ name: `c${at}${long}`, ok: true, detail: long }));
    const text = describeOutcome(delta(patch), failed);
    expect(text.length).toBeLessThanOrEqual(MAX_DESCRIPTION_LENGTH);
    expect(text.split('\n').length).toBeGreaterThan(3);
    expect(text).toContain('…');
  });
});
