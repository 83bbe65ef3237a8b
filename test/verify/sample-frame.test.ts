/** The frame sample: a difference is always reported, and fails the check exactly when the action may have caused it. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { State } from '../../src/action/snapshot.js';
import type { Execution } from '../../src/tools/tool.js';
import { sampleCheck, takeSample, type Sample } from '../../src/verify/index.js';
import { MAX_SAMPLE_BYTES } from '../../src/verify/sample-frame.js';

const BEFORE: State = { orders: { rows: 3, digest: 'a' }, products: { rows: 1, digest: 'b' } };
const MOVED: State = { ...BEFORE, orders: { rows: 3, digest: 'z' } };
const PRE: State = { orders: { '1': {}, '2': {} } };

function checked(after: State | Sample, execution?: Execution) {
  const sample = 'state' in after || 'problem' in after ? (after as Sample) : { state: after };
  return sampleCheck({ before: BEFORE, after: sample, pre: PRE, execution });
}

const affectedRows = (counts: Record<string, number>, more: Partial<Execution> = {}): Execution => ({
  result: null,
  affectedRows: counts,
  ...more,
});

describe('a sample', () => {
  test('that is unchanged holds, whatever the order of its keys', () => {
    expect(checked({ products: { digest: 'b', rows: 1 }, orders: { digest: 'a', rows: 3 } })).toEqual({
      name: 'frame.sample',
      ok: true,
    });
  });

  test('that differs where the system counted none of our writes is attributed to others', () => {
    const check = checked({ ...BEFORE, products: { rows: 0, digest: '' } }, affectedRows({ orders: 2 }));
    expect(check.ok).toBe(true);
    expect(check.detail).toContain("changed in products: another's doing");
  });

  test("that differs in the action's own table holds as long as it wrote no more rows than it named", () => {
    expect(checked(MOVED, affectedRows({ orders: 2 })).ok).toBe(true);
    expect(checked(MOVED, affectedRows({ orders: 3 })).ok).toBe(false);
    expect(checked(MOVED, affectedRows({ orders: 3 }, { created: { orders: ['3'] } })).ok).toBe(true);
    expect(checked(MOVED, affectedRows({ orders: 3 }, { created: { orders: ['1'] } })).ok).toBe(false);
  });

  test('that differs where nothing was counted fails, and says that others may have caused it', () => {
    for (const execution of [undefined, { result: null }]) {
      const check = checked(MOVED, execution);
      expect(check.ok).toBe(false);
      expect(check.detail).toMatch(/changed in orders\. It may be another's doing/);
    }
  });

  test('differs when a target vanished or appeared', () => {
    expect(checked({ orders: BEFORE['orders'] ?? null }).detail).toContain('products');
    expect(checked({ ...BEFORE, more: 1 }).detail).toContain('more');
  });

  test('names only a few targets', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`t${String(at).padStart(2, '0')}`, at]));
    expect(checked({ ...BEFORE, ...many }).detail).toContain('t00, t01, t02, t03, t04 and 15 more');
  });

  test('names targets in their order, also those that are called like what every object has', () => {
    expect(checked({ zeta: 1, ...BEFORE, alpha: 2, constructor: 3 }).detail).toContain(
      'changed in alpha, constructor, zeta.',
    );
    expect(checked({ ...BEFORE, constructor: 3 }, affectedRows({})).ok).toBe(true);
    expect(checked({ ...BEFORE, constructor: 3 }, affectedRows({ constructor: 1 })).ok).toBe(false);
    expect(checked({ ...BEFORE, a: 1, b: 2, c: 3, d: 4, e: 5 }).detail).toContain('changed in a, b, c, d, e.');
  });

  test('differs in a table of which nothing was captured, where anything was written to it', () => {
    const nothing = (pre: State) =>
      sampleCheck({ before: BEFORE, after: { state: MOVED }, pre, execution: affectedRows({ orders: 1 }) });
    expect([nothing({ orders: null }).ok, nothing({}).ok, nothing({ orders: 'text' }).ok]).toEqual([
      false,
      false,
      false,
    ]);
    expect(nothing({ orders: { '1': {} } })).toEqual({
      name: 'frame.sample',
      ok: true,
      detail:
        "Other rows changed in orders: another's doing, because the system's own count of what this action wrote excludes it.",
    });
  });

  test('that could not be taken again fails', () => {
    expect(checked({ problem: 'timeout' })).toEqual({
      name: 'frame.sample',
      ok: false,
      detail: 'The sample could not be taken again: timeout',
    });
  });
});

describe('taking a sample', () => {
  const { signal } = new AbortController();
  const take = (sample: () => Promise<State>, after: boolean) =>
    takeSample({ sample }, {}, { pre: PRE, after }, signal);
  const failing = (retryable: boolean) => () =>
    Promise.reject(new CountersignError('TOOL_FAILED', 'too slow', { retryable }));

  test('that fails before the effect stops the action', async () => {
    await expect(take(failing(false), false)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
  });

  test('that fails after the effect makes the check fail, unless the error is retryable', async () => {
    expect(await take(failing(false), true)).toEqual({ problem: 'too slow' });
    await expect(take(failing(true), true)).rejects.toMatchObject({ retryable: true });
  });

  test('fails when history cannot carry the sample', async () => {
    const large = () => Promise.resolve({ t: 'x'.repeat(17 * 1024) });
    await expect(take(large, false)).rejects.toThrow(/at most 16384/);
    expect(await take(large, true)).toMatchObject({ problem: expect.stringContaining('16384') as string });
    const unserializable = () => Promise.resolve({ t: new Date() } as unknown as State);
    await expect(take(unserializable, false)).rejects.toMatchObject({ code: 'INVALID_JSON' });
  });

  test('names the place of what is no JSON', async () => {
    const unserializable = () => Promise.resolve({ t: new Date() } as unknown as State);
    await expect(take(unserializable, false)).rejects.toThrow(/^sample\.t /);
  });

  test('carries as much as history can, and not a byte more', async () => {
    const of = (bytes: number) => () => Promise.resolve({ t: 'x'.repeat(bytes - '{"t":""}'.length) });
    expect(await take(of(MAX_SAMPLE_BYTES), false)).toHaveProperty('state');
    await expect(take(of(MAX_SAMPLE_BYTES + 1), false)).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      field: 'tool.sample',
      retryable: false,
      message: 'The sample is 16385 bytes; at most 16384 are carried.',
      expected: 'at most 16384 bytes',
    });
  });

  test('asks the tool by what was captured, with the signal, and not by when', async () => {
    const asked: unknown[] = [];
    const tool = {
      sample: (...given: unknown[]) => {
        asked.push(given);
        return Promise.resolve({});
      },
    };
    await takeSample(tool, { table: 'orders' }, { pre: PRE, after: true }, signal);
    expect(asked).toEqual([[{ table: 'orders' }, { pre: PRE }, { signal }]]);
  });

  test('gives an empty one for a tool without samples', async () => {
    expect(await takeSample({}, {}, { pre: PRE, after: false }, signal)).toEqual({ state: {} });
  });
});
