/** The delta between two states: it is correct for all keys, and bounded for all sizes. */
import fc from 'fast-check';
import { applyPatch, type Operation } from 'rfc6902';
import { describe, expect, test } from 'vitest';
import { canonical, type Json, type JsonObject } from '../../src/action/json.js';
import type { State } from '../../src/action/snapshot.js';
import { createDelta, fullPatch, MAX_PATCH_CHARS, MAX_PATCH_OPERATIONS } from '../../src/verify/index.js';

function applied(pre: State, patch: ReturnType<typeof fullPatch>): State {
  const target = structuredClone(pre);
  const problems = applyPatch(target, patch as Operation[]).filter((result) => result !== null);
  expect(problems).toEqual([]);
  return target;
}

function table(rows: number, change: (row: number) => JsonObject = () => ({})): State {
  const orders: Record<string, Json> = {};
  for (let row = 0; row < rows; row++) {
    orders[String(row)] = {
      id: row,
      name: `name ${row}`,
      email: `user${row}@example.com`,
      quantity: row % 7,
      price: row * 1.25,
      active: row % 2 === 0,
      deleted_at: null,
      note: 'as it was',
      ...change(row),
    };
  }
  return { orders };
}

function fastest(run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 7; attempt++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

const key = fc.oneof(
  fc.constantFrom(
    '',
    '~',
    '/',
    '~1',
    '~0/',
    'a',
    'b',
    '0',
    '1',
    '10',
    '-',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'ключ',
  ),
  fc.string({ maxLength: 4 }).filter((text) => text !== '__proto__'),
);
const scalar = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, 1, 2, ''),
  fc.string({ maxLength: 3 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const value: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    { arbitrary: scalar, weight: 3 },
    { arbitrary: fc.array(scalar, { maxLength: 20 }), weight: 1 },
    { arbitrary: fc.array(tie('value'), { maxLength: 4 }), weight: 1 },
    { arbitrary: fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }), weight: 2 },
  ),
})).value;
const row = fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true });
const state = fc.dictionary(key, fc.dictionary(key, row, { maxKeys: 5, noNullPrototype: true }), {
  maxKeys: 3,
  noNullPrototype: true,
});

/** A busy machine is several times slower, and sources whose every part asks which mutant is on more than that: see `npm run mutation`. What is not linear takes a hundred times as long. */
const SLACK = process.env['MUTATION_TESTS'] === undefined ? 5 : 20;

describe('the delta', () => {
  test('applied to the state before, the full patch gives the state after', () => {
    fc.assert(
      fc.property(state, state, (pre, post) => {
        expect(canonical(applied(pre, fullPatch(pre, post)))).toBe(canonical(post));
      }),
      { numRuns: 500 },
    );
  });

  test('is empty exactly when the states are equal', () => {
    fc.assert(
      fc.property(state, state, (pre, post) => {
        expect(createDelta(pre, structuredClone(pre), 1).operations).toBe(0);
        expect(createDelta(pre, post, 1).operations === 0).toBe(canonical(pre) === canonical(post));
      }),
    );
  });

  test('is the same whatever the order of the keys', () => {
    const reversed = (from: Json): Json => {
      if (Array.isArray(from)) return from.map(reversed);
      if (typeof from !== 'object' || from === null) return from;
      return Object.fromEntries(
        Object.entries(from)
          .toReversed()
          .map(([name, item]) => [name, reversed(item)]),
      );
    };
    fc.assert(
      fc.property(state, state, (pre, post) => {
        const other = fullPatch(reversed(pre) as State, reversed(post) as State);
        expect(other.map(canonical)).toEqual(fullPatch(pre, post).map(canonical));
      }),
    );
  });

  test('contains the beginning of the full patch and counts all operations', () => {
    fc.assert(
      fc.property(state, state, (pre, post) => {
        const full = fullPatch(pre, post);
        const delta = createDelta(pre, post, 1);
        expect(delta.operations).toBe(full.length);
        expect(delta.patch).toEqual(full.slice(0, delta.patch.length));
      }),
    );
    const delta = createDelta(
      table(1000),
      table(1000, () => ({ quantity: -1 })),
      1,
    );
    expect(delta.operations).toBe(1000);
    expect(delta.patch).toHaveLength(MAX_PATCH_OPERATIONS);
  });

  test('describes changes as in RFC 6902, with ~ and / escaped', () => {
    const pre = { 'a/b': { '1': { 'm~n': 1, gone: true } } };
    const post = { 'a/b': { '1': { 'm~n': 2 }, '2': {} } };
    expect(createDelta(pre, post, 12.4)).toEqual({
      patch: [
        { op: 'remove', path: '/a~1b/1/gone' },
        { op: 'replace', path: '/a~1b/1/m~0n', value: 2 },
        { op: 'add', path: '/a~1b/2', value: {} },
      ],
      operations: 3,
      latencyMs: 12,
    });
  });

  test('edits a short list, and replaces a long one', () => {
    const short = createDelta({ t: { a: { tags: ['x', 'y'] } } }, { t: { a: { tags: ['x', 'y', 'z'] } } }, 0);
    expect(short.patch).toEqual([{ op: 'add', path: '/t/a/tags/-', value: 'z' }]);
    const before = Array.from({ length: 1000 }, (_, index) => index);
    const long = createDelta({ t: { a: { tags: before } } }, { t: { a: { tags: [...before, 1000] } } }, 0);
    expect(long.patch).toEqual([{ op: 'replace', path: '/t/a/tags', value: [...before, 1000] }]);
  });

  test('does not grow with a large column', () => {
    const delta = createDelta({ t: { a: { x: 1, y: 'small' } } }, { t: { a: { x: 2, y: 'y'.repeat(5_000_000) } } }, 0);
    expect(delta.operations).toBe(2);
    expect(delta.patch).toEqual([{ op: 'replace', path: '/t/a/x', value: 2 }]);
    expect(canonical(delta).length).toBeLessThan(MAX_PATCH_CHARS);
  });

  test.each(['__proto__', 'constructor', 'prototype', 'toString'])(
    'a key %s is data, and changes no prototype',
    (name) => {
      const pre = JSON.parse(`{"t": {"1": {}, "${name}": {"polluted": 1}}}`) as State;
      const post = JSON.parse(`{"t": {"1": {}, "${name}": {"polluted": 2}}, "${name}": {"1": {}}}`) as State;
      const delta = createDelta(pre, post, 0);
      expect(delta.operations).toBe(2);
      expect(delta.patch.map(({ path }) => path)).toContain(`/${name}`);
      expect(createDelta(post, post, 0).operations).toBe(0);
      expect(createDelta(post, structuredClone(post), 0).operations).toBe(0);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    },
  );

  test('never treats two dates as equal', () => {
    const at = (ms: number): State => ({ t: { '1': { at: new Date(ms) as unknown as Json } } });
    expect(createDelta(at(0), at(1), 0).operations).toBe(1);
  });

  test('refuses a state that nests too deeply', () => {
    let deep: Json = 1;
    for (let level = 0; level < 50_000; level++) deep = { deep };
    expect(() => createDelta({ t: deep }, { t: structuredCloneOf(deep) }, 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_JSON' }),
    );
  });

  test('goes 64 levels deep, and not one deeper', () => {
    const maps = (levels: number, leaf: Json): State => {
      let state: Json = leaf;
      for (let level = 0; level < levels; level++) state = { deep: state };
      return state as State;
    };
    expect(createDelta(maps(65, 1), maps(65, 2), 0).patch).toEqual([
      { op: 'replace', path: '/deep'.repeat(65), value: 2 },
    ]);
    expect(() => createDelta(maps(66, 1), maps(66, 2), 0)).toThrow(
      expect.objectContaining({
        code: 'INVALID_JSON',
        field: 'state',
        message: 'A captured state nests deeper than 64 levels.',
        expected: 'at most 64 levels',
        fix: 'Let the tool capture a flatter state.',
      }) as Error,
    );
  });

  test('compares lists as deep as maps, and takes deeper ones for different', () => {
    const lists = (levels: number): State => {
      let list: Json = [1];
      for (let level = 1; level < levels; level++) list = [list];
      return { list };
    };
    expect(createDelta(lists(64), lists(64), 0).operations).toBe(0);
    expect(createDelta(lists(65), lists(65), 0).patch).toEqual([{ op: 'replace', ...at(lists(65)) }]);
    expect(createDelta(lists(3000), lists(3000), 0).operations).toBe(1);
    function at({ list }: State) {
      return { path: '/list', value: list };
    }
  });

  test('takes nothing that is no JSON for equal, however it is held', () => {
    const held = (item: unknown): State => ({ t: { a: { v: [item] as Json } } });
    const pairs: [unknown, unknown][] = [
      [{}, new Date(0)],
      [{ length: 0 }, []],
      [[], {}],
      [null, {}],
      [{ toString: 1 }, {}],
    ];
    for (const [one, other] of pairs) {
      expect(createDelta(held(one), held(other), 0).operations).toBe(1);
      expect(createDelta(held(other), held(one), 0).operations).toBe(1);
    }
  });

  test('takes a member that is undefined for none, as JSON does, and an item that is undefined for no scalar', () => {
    const [none, member] = [{ t: {} }, { t: { a: undefined as unknown as Json } }];
    expect(createDelta(none, member, 0).operations).toBe(0);
    expect(createDelta(member, none, 0).operations).toBe(0);
    expect(createDelta(member, structuredClone(member), 0).operations).toBe(0);
    const list = (item: unknown) => ({ t: { v: [1, item] as Json } });
    expect(createDelta(list(undefined), list(2), 0).patch).toEqual([{ op: 'replace', path: '/t/v', value: [1, 2] }]);
  });

  test('edits lists of scalars, null among them, and replaces those that hold anything else', () => {
    const list = (...items: Json[]): State => ({ t: { v: items } });
    expect(createDelta(list(null, 1), list(null, 2), 0).patch).toEqual([{ op: 'replace', path: '/t/v/1', value: 2 }]);
    expect(createDelta(list(1, { a: 1 }), list(1, { a: 2 }), 0).patch).toEqual([
      { op: 'replace', path: '/t/v', value: [1, { a: 2 }] },
    ]);
    const [short, long] = [Array<Json>(16).fill(0), Array<Json>(17).fill(0)];
    expect(createDelta(list(...short), list(...long), 0).patch.map(({ path }) => path)).toEqual(['/t/v']);
    expect(createDelta(list(...long), list(...short), 0).patch.map(({ path }) => path)).toEqual(['/t/v']);
  });

  test('compares member by member also what has no prototype', () => {
    const bare = (members: object) => Object.assign(Object.create(null) as object, members) as Json;
    expect(createDelta({ t: bare({ a: 1, b: 1 }) }, { t: bare({ a: 1, b: 2 }) }, 0).patch).toEqual([
      { op: 'replace', path: '/t/b', value: 2 },
    ]);
  });

  test('edits lists of at most 16 scalars, and 50 of them', () => {
    const items = (count: number) => Array.from({ length: count }, (_, index) => index);
    const pathOf = (from: number) =>
      createDelta({ t: { a: items(from) } }, { t: { a: [...items(from - 1), -1] } }, 0).patch.map(({ path }) => path);
    expect(pathOf(16)).not.toContain('/t/a');
    expect(pathOf(17)).toEqual(['/t/a']);
    const many = (last: number): State => ({
      t: Object.fromEntries(items(51).map((list) => [`l${list + 10}`, [0, last]])),
    });
    const edited = createDelta(many(1), many(2), 0).patch.map(({ path }) => path);
    expect(edited.filter((path) => path.endsWith('/1'))).toHaveLength(50);
    expect(edited.filter((path) => !path.endsWith('/1'))).toEqual(['/t/l60']);
  });

  test('carries operations of up to 64 Ki characters', () => {
    const path = '/t/a';
    const kept = (characters: number) => {
      const text = 'x'.repeat(characters - path.length - '""'.length);
      return createDelta({ t: { a: '' } }, { t: { a: text } }, 0).patch.length;
    };
    expect(kept(MAX_PATCH_CHARS - 1)).toBe(1);
    expect(kept(MAX_PATCH_CHARS)).toBe(0);
  });

  test('takes linear time for lists of lists and for ten thousand lists', () => {
    const nested = (last: number) =>
      Array.from({ length: 16 }, () => Array.from({ length: 16 }, () => Array.from({ length: 16 }, () => last)));
    expect(fastest(() => createDelta({ t: { a: { v: nested(1) } } }, { t: { a: { v: nested(2) } } }, 0))).toBeLessThan(
      50 * SLACK,
    );
    const lists = (text: string) =>
      table(10_000, () => ({ tags: Array.from({ length: 16 }, (_, index) => text + index) }));
    const [pre, post] = [lists('a'), lists('b')];
    expect(fastest(() => createDelta(pre, post, 0))).toBeLessThan(400 * SLACK);
  });

  test('takes a fraction of a second for five thousand changed rows of eight columns, and next to nothing for equal states', () => {
    const changed = { id: -1, name: '', email: '', quantity: -1, price: -1, active: 'no', deleted_at: 1, note: '' };
    const [pre, same, post] = [table(10_000), table(10_000), table(10_000, (number) => (number < 5000 ? changed : {}))];
    expect(createDelta(pre, post, 0).operations).toBe(40_000);
    expect(fastest(() => createDelta(pre, post, 0))).toBeLessThan(200 * SLACK);
    expect(fastest(() => createDelta(pre, same, 0))).toBeLessThan(50 * SLACK);
    expect(fastest(() => createDelta(pre, pre, 0))).toBeLessThan(1 * SLACK);
  });
});

/** Copies a state that is too deep for `structuredClone`. */
function structuredCloneOf(deep: Json): Json {
  let copy: Json = 1;
  for (let from = deep; typeof from === 'object'; from = (from as { deep: Json }).deep) copy = { deep: copy };
  return copy;
}
