/** The checks that make a success: nothing that throws, lies or checks nothing may count as verified. */
import { afterAll, describe, expect, test } from 'vitest';
import type { Check } from '../../src/action/outcome.js';
import type { State } from '../../src/action/snapshot.js';
import type { ObservedEffect, Execution } from '../../src/tools/tool.js';
import {
  allHold,
  compileInvariants,
  createDelta,
  ExpectationRunner,
  verifyEffect,
  type Verification,
} from '../../src/verify/index.js';

const runner = new ExpectationRunner({ deadlineMs: 10_000 });
afterAll(() => runner.close());

const pre: State = { orders: { '1': { qty: 1 } } };
const post: State = { orders: { '1': { qty: 2 } } };
const execution: Execution = { result: { rowCount: 1 }, affectedRows: { orders: 1 } };
const quantityIsTwo = ({ post }: ObservedEffect<unknown>): Check[] => [
  { name: 'derived', ok: (post['orders'] as { '1': { qty: number } })['1'].qty === 2 },
];

function verified(
  more: Partial<Verification<unknown>> & { verify?: (effect: ObservedEffect<unknown>) => unknown } = {},
) {
  const { verify = quantityIsTwo, ...rest } = more;
  return verifyEffect({
    tool: { verify: verify as (effect: ObservedEffect<unknown>) => readonly Check[] },
    input: {},
    preview: { rows: 1, targets: ['orders'], reads: [], schemaChange: false, sample: [], summary: 'update 1 row' },
    pre,
    post,
    delta: createDelta(pre, post, 5),
    execution,
    runner,
    ...rest,
  });
}

describe('an effect is verified', () => {
  test('by the tool, the constraints and the expectation together', async () => {
    const checks = await verified({
      expect: 'post.orders["1"].qty == pre.orders["1"].qty + 1 && delta.operations == 1 && result.rowCount == 1',
      constraints: [{ name: 'maxRows', value: 1, policy: 'p' }],
    });
    expect(checks).toEqual([
      { name: 'derived', ok: true },
      { name: 'constraint.maxRows', ok: true },
      { name: 'expect', ok: true },
    ]);
    expect(allHold(checks)).toBe(true);
  });

  test('by the tool alone when nothing else is configured', async () => {
    expect(await verified()).toEqual([{ name: 'derived', ok: true }]);
  });
});

describe('several expectations', () => {
  test('are a check each, in their order', async () => {
    const checks = await verified({
      expect: [
        { name: 'doubled', cel: 'post.orders["1"].qty == 2 * pre.orders["1"].qty' },
        { name: 'nothing-else', cel: 'delta.operations == 2' },
        { name: 'same-rows', cel: 'size(added("orders")) == 0' },
      ],
    });
    expect(checks.slice(1)).toEqual([
      { name: 'expect.doubled', ok: true },
      {
        name: 'expect.nothing-else',
        ok: false,
        detail: 'The expectation does not hold: delta.operations == 2 is false (left side is 1).',
      },
      { name: 'expect.same-rows', ok: true },
    ]);
  });

  test('of which one does not compile are not verified', async () => {
    const checks = await verified({
      expect: [
        { name: 'fine', cel: 'true' },
        { name: 'broken', cel: 'post ==' },
      ],
    });
    expect(checks.at(-1)).toMatchObject({
      ok: false,
      detail: expect.stringContaining('The expectation broken') as string,
    });
    expect(allHold(checks)).toBe(false);
  });
});

describe('an invariant of the operator', () => {
  test('is checked between the constraints and the expectation', async () => {
    const invariants = compileInvariants(
      { shop: [{ name: 'few', cel: 'rows(state.orders).all(order, order.qty < 2)', reason: 'At most one.' }] },
      ['shop'],
    ).get('shop');
    const checks = await verified({
      expect: 'true',
      invariants,
      sample: { before: { orders: 1 }, after: { state: { orders: 2 } } },
      constraints: [{ name: 'maxRows', value: 1, policy: 'p' }],
    });
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['derived', true],
      ['constraint.maxRows', true],
      ['frame.sample', true],
      ['invariant.few', false],
      ['expect', true],
    ]);
  });
});

describe('an effect of several parts', () => {
  const part = (name: string, done: boolean, detail?: string) => ({
    name,
    done,
    ...(detail === undefined ? {} : { detail }),
  });

  test('all of which were done is verified like any other', async () => {
    const checks = await verified({ execution: { ...execution, parts: [part('a', true), part('b', true)] } });
    expect(checks).toEqual([
      { name: 'derived', ok: true },
      { name: 'parts', ok: true },
    ]);
  });

  test('of which some were not done reports which, and why', async () => {
    const parts = [part('orders/1', true), part('orders/2', false, '409'), part('orders/3', false)];
    expect(await verified({ execution: { ...execution, parts } })).toContainEqual({
      name: 'parts',
      ok: false,
      detail: '1 of 3 parts were done; not done: orders/2 (409); orders/3',
    });
  });

  test('names only a few of many undone parts', async () => {
    const parts = Array.from({ length: 500 }, (_, at) => part(`p${at}`, false, 'x'.repeat(1000)));
    const checks = await verified({ execution: { ...execution, parts } });
    const detail = checks.find(({ name }) => name === 'parts')?.detail ?? '';
    expect(detail).toContain('0 of 500 parts');
    expect(detail.length).toBeLessThanOrEqual(2000);
  });
});

describe('an effect is not verified', () => {
  test('when the state read back is not what the tool derived', async () => {
    expect(allHold(await verified({ post: pre }))).toBe(false);
  });

  test('when the tool says 200 OK but the expectation does not hold', async () => {
    const checks = await verified({ expect: { cel: 'post.orders["1"].qty == 3', withinMs: 10 } });
    expect(checks.map(({ name, ok }) => ({ name, ok }))).toEqual([
      { name: 'derived', ok: true },
      { name: 'expect', ok: false },
    ]);
    expect(checks[1]?.detail).toContain('left side is 2');
    expect(allHold(checks)).toBe(false);
  });

  test.each<[string, (effect: ObservedEffect<unknown>) => unknown]>([
    ['no check', () => []],
    ['nothing', () => undefined],
    ['a promise', () => Promise.resolve([{ name: 'derived', ok: true }])],
    ['null among its checks', () => [null]],
    ['a check without a verdict', () => [{ name: 'derived' }]],
    ['a truthy word for a verdict', () => [{ name: 'derived', ok: 'yes' }]],
    [
      'an exception',
      () => {
        throw new Error('cannot compare');
      },
    ],
    [
      'an exception that is no error',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what a careless tool may do
        throw 'text';
      },
    ],
  ])('when the tool returns %s', async (_, verify) => {
    const checks = await verified({ verify, expect: 'true' });
    expect(checks[0]).toMatchObject({ name: 'derived', ok: false, detail: expect.any(String) as string });
    expect(checks.at(-1)).toEqual({ name: 'expect', ok: true });
    expect(allHold(checks)).toBe(false);
  });

  test('when more rows were changed than policy allowed', async () => {
    const affectedRows = { ...execution, affectedRows: { orders: 1, audit: 2 } };
    const constraints = [{ name: 'maxRows', value: 2, policy: 'p' }];
    expect(await verified({ execution: affectedRows, constraints })).toContainEqual({
      name: 'constraint.maxRows',
      ok: false,
      detail: '3 rows were changed; 2 were allowed.',
    });
  });

  test('when a ceiling on rows is not a number', async () => {
    const checks = await verified({ constraints: [{ name: 'maxRows', value: 'many', policy: 'p' }] });
    expect(checks).toContainEqual(expect.objectContaining({ name: 'constraint.maxRows', ok: false }));
  });

  test('when the expectation itself is invalid', async () => {
    const checks = await verified({ expect: 'post.orders ==' });
    expect(checks.at(-1)).toMatchObject({
      name: 'expect',
      ok: false,
      detail: expect.stringContaining('does not compile') as string,
    });
  });

  test('when the evaluator is closed', async () => {
    const closed = new ExpectationRunner();
    await closed.close();
    expect(allHold(await verified({ runner: closed, expect: 'true' }))).toBe(false);
  });

  test('without any checks', () => {
    expect(allHold([])).toBe(false);
    expect(allHold([{ name: 'a', ok: true }])).toBe(true);
    expect(
      allHold([
        { name: 'a', ok: true },
        { name: 'b', ok: false },
      ]),
    ).toBe(false);
  });
});

describe('an unknown result', () => {
  test('makes an expectation on it fail, and not one on the state', async () => {
    expect(allHold(await verified({ execution: undefined, expect: 'result.rowCount == 1' }))).toBe(false);
    expect(allHold(await verified({ execution: undefined, expect: 'post.orders["1"].qty == 2' }))).toBe(true);
  });

  test('gives no check of the row count', async () => {
    const checks = await verified({ execution: undefined, constraints: [{ name: 'maxRows', value: 1, policy: 'p' }] });
    expect(checks.map(({ name }) => name)).toEqual(['derived']);
  });
});

describe('what a tool that was written without types says of its checks', () => {
  test('counts for as much as it says, and no more', async () => {
    const said = [
      { ok: true, name: 7 },
      { ok: true, name: 'a', detail: 'fine' },
      { ok: 'yes', name: 'b', detail: 3 },
      null,
    ];
    expect(await verified({ verify: () => said })).toEqual([
      { name: 'derived', ok: true },
      { name: 'a', ok: true, detail: 'fine' },
      { name: 'b', ok: false, detail: 'The check does not hold.' },
      { name: 'derived', ok: false, detail: 'The check does not hold.' },
    ]);
  });

  test('has no detail where it says none', async () => {
    const [check] = await verified();
    expect(check).not.toHaveProperty('detail');
  });

  test('that its verification failed is a check that does not hold', async () => {
    const broken = () => {
      throw new Error('no such column');
    };
    const detail = "The tool's verification failed: no such column";
    expect(await verified({ verify: broken })).toEqual([{ name: 'derived', ok: false, detail }]);
  });
});

describe('parts that were not done', () => {
  const parts = (undone: number) => ({
    ...execution,
    parts: [
      { name: 'p0', done: true },
      ...Array.from({ length: undone }, (_, at) => ({ name: `u${at}`, done: false })),
    ],
  });

  test('are named up to five, and then counted', async () => {
    const [, five] = await verified({ execution: parts(5) });
    expect(five?.detail).toBe('1 of 6 parts were done; not done: u0; u1; u2; u3; u4');
    const [, seven] = await verified({ execution: parts(7) });
    expect(seven?.detail).toBe('1 of 8 parts were done; not done: u0; u1; u2; u3; u4; and 2 more');
    expect((await verified({ execution: parts(0) }))[1]).toEqual({ name: 'parts', ok: true });
  });
});

test('of the constraints only the ceiling on rows is checked from outside, and one that is no number allows none', async () => {
  const constraint = (name: string, value: string | number) => ({ name, value, policy: 'p' });
  expect(await verified({ constraints: [constraint('mask', 'email'), constraint('maxRows', 1)] })).toHaveLength(2);
  const [, check] = await verified({ constraints: [constraint('maxRows', '5')] });
  expect(check).toEqual({ name: 'constraint.maxRows', ok: false, detail: '1 rows were changed; 5 were allowed.' });
  // Where the system does not count, nothing is said of it.
  expect(await verified({ constraints: [constraint('maxRows', 0)], execution: { result: null } })).toHaveLength(1);
});
