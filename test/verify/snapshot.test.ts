/** Snapshots: what goes into history, what goes to the ledger, and what no snapshot may contain. */
import { describe, expect, test } from 'vitest';
import { canonicalBytes, digest, type Json } from '../../src/action/json.js';
import { EMPTY_DELTA, EMPTY_SNAPSHOT, type State } from '../../src/action/snapshot.js';
import { MAX_SNAPSHOT_BYTES, takeSnapshot } from '../../src/verify/index.js';

describe('a snapshot', () => {
  test('contains a small state, its digest and its number of rows', () => {
    const state = {
      orders: { '1': { qty: 1 }, '2': { qty: 2 } },
      sessions: {},
      response: ['a', 'b', 'c'],
      status: 'open',
    };
    expect(takeSnapshot(state, 1.5)).toEqual({ snapshot: { state, digest: digest(state), count: 6, tookMs: 1.5 } });
  });

  test('of nothing is that of an action that changes nothing, whose delta is empty', () => {
    expect(EMPTY_SNAPSHOT).toEqual(takeSnapshot({}, 0).snapshot);
    expect(EMPTY_DELTA).toEqual({ patch: [], operations: 0, latencyMs: 0 });
  });

  test('does not depend on the order of keys', () => {
    const one = takeSnapshot({ t: { a: { x: 1, y: 2 }, b: {} } }, 0).snapshot.digest;
    expect(takeSnapshot({ t: { b: {}, a: { y: 2, x: 1 } } }, 0).snapshot.digest).toBe(one);
  });

  test('leaves out a state of one byte more than 64 KiB and returns it separately', () => {
    const state = (length: number): State => ({ t: { '1': { text: 'x'.repeat(length) } } });
    const room = MAX_SNAPSHOT_BYTES - canonicalBytes(state(0));
    expect(takeSnapshot(state(room), 0).large).toBeUndefined();
    const { snapshot, large } = takeSnapshot(state(room + 1), 0);
    expect(large).toEqual(state(room + 1));
    expect(snapshot).toEqual({ digest: digest(large), count: 1, tookMs: 0 });
  });

  test('counts a table that is a single value, null too, as one row', () => {
    expect(takeSnapshot({ t: null, u: 'x', v: [1, 2], w: {} }, 0).snapshot.count).toBe(4);
  });

  test('names the place of what is no JSON', () => {
    expect(() => takeSnapshot({ t: { '1': { value: new Date(0) as unknown as Json } } }, 0)).toThrow(
      /^state\.t\.1\.value /,
    );
  });

  test('counts bytes, not characters', () => {
    expect(takeSnapshot({ t: { '1': { text: 'я'.repeat(40_000) } } }, 0).large).toBeDefined();
  });

  test.each<[string, unknown, string]>([
    ['a date', new Date(0), 'INVALID_JSON'],
    ['bytes', Buffer.from('x'), 'INVALID_JSON'],
    ['a bigint', 1n, 'INVALID_JSON'],
    ['undefined', undefined, 'INVALID_JSON'],
    ['not a number', Number.NaN, 'INVALID_NUMBER'],
    ['an inexact integer', 2 ** 53, 'INVALID_NUMBER'],
    ['a NUL byte', 'a\u0000b', 'INVALID_TEXT'],
    ['half a surrogate pair', '\ud800', 'INVALID_TEXT'],
    ['a key __proto__', JSON.parse('{"__proto__": 1}'), 'INVALID_JSON'],
  ])('refuses %s, which would be recorded as something else', (_, value, code) => {
    expect(() => takeSnapshot({ t: { '1': { value: value as Json } } }, 0)).toThrow(expect.objectContaining({ code }));
  });
});
