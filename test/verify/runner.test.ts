/** The runner of expectations: what it hands to its thread, what waits for it, and what becomes of those that are too slow, too large or too many. */
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import type { Json } from '../../src/action/json.js';
import type { State } from '../../src/action/snapshot.js';
import { compileExpectation, ExpectationRunner, type ExpectationRunnerOptions } from '../../src/verify/index.js';

let runners: ExpectationRunner[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(runners.map((each) => each.close()));
  runners = [];
});

/** For the tests that are not about its thread: a thread takes a while to start. */
const patient = new ExpectationRunner({ deadlineMs: 20_000 });
afterAll(() => patient.close());

function runner(options: ExpectationRunnerOptions = { deadlineMs: 20_000 }): ExpectationRunner {
  const own = new ExpectationRunner(options);
  runners.push(own);
  return own;
}

const NO_DELTA = { patch: [], operations: 0, latencyMs: 0 };

function check(by: ExpectationRunner, cel: string, post: State = {}, more: { pre?: State; result?: Json } = {}) {
  return by.evaluate(compileExpectation(cel), { pre: {}, post, delta: NO_DELTA, result: null, ...more });
}

/** So many rows that comparing all with all takes far longer than any deadline here. */
const ROWS = (): State => ({
  t: Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`r${i}`, { id: i, text: `text ${i}` }])),
});
const SLOW = 'post.t.all(k, post.t == pre.t)';
const A_WHILE = 'post.t.all(k, post.t[k].id >= 0)';
const HOLDS = { name: 'expect', ok: true };

/**
 * Keeps this thread busy, from behind the phase of the event loop in which answers are read: the deadlines that passed meanwhile come before the answers
 * that came meanwhile.
 *
 * @returns what the work gives that is begun before
 */
async function busyFor<T>(ms: number, work: () => T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  const begun = work();
  const until = performance.now() + ms;
  while (performance.now() < until);
  return begun;
}

describe('a check', () => {
  test('that holds has no detail, and one that does not says why', async () => {
    expect(await check(patient, 'post.a == 1', { a: 1 })).toEqual(HOLDS);
    expect(await check(patient, 'post.a == 2', { a: 1 })).toEqual({
      name: 'expect',
      ok: false,
      detail: 'The expectation does not hold: post.a == 2 is false (left side is 1).',
    });
  });

  test('reads the values that it names, and one that is not there as null', async () => {
    const more = { pre: { b: 2 }, result: 3 };
    expect(
      await check(patient, 'post.a == 1 && pre.b == 2 && result == 3 && delta.operations == 0', { a: 1 }, more),
    ).toEqual(HOLDS);
    expect(await patient.judge(compileExpectation('result == null'), {})).toMatchObject({ ok: true });
    expect(await patient.judge(compileExpectation('result == false'), { result: false })).toMatchObject({ ok: true });
  });

  test('of what is no JSON fails, and those behind it are made', async () => {
    const [bad, good] = await Promise.all([
      check(patient, 'post.t == 1', { t: 1n as unknown as Json }),
      check(patient, 'post.t == 1', { t: 1 }),
    ]);
    expect(bad.detail).toMatch(/^The expectation cannot be evaluated: .*BigInt/);
    expect(good).toEqual(HOLDS);
    const cycle: Record<string, Json> = {};
    cycle['self'] = cycle;
    expect(await check(patient, 'post.self == 1', cycle)).toMatchObject({ ok: false });
  });

  test('of a state that other checks read is not written out for each of them', async () => {
    let written = 0;
    const state = { toJSON: () => ({ a: ++written }) } as unknown as State;
    for (let i = 0; i < 3; i++) expect(await check(patient, 'post.a == 1', state)).toEqual(HOLDS);
    expect(await check(patient, 'post.a == 2', { toJSON: () => ({ a: 2 }) } as unknown as State)).toEqual(HOLDS);
    expect(written).toBe(1);
  });

  test('of too much JSON is not made at all, unless it does not read it; that counts as too costly', async () => {
    const huge: State = { text: 'x'.repeat(9 * 1024 * 1024) };
    const result = await check(patient, 'post.text == pre.text', huge, { pre: { ...huge } });
    expect(result.detail).toMatch(
      /^The expectation is too costly: it reads 188\d{5} characters of JSON, at most 16777216 can be\.$/,
    );
    expect(await check(patient, 'size(post.text) > 1', huge, { pre: { ...huge } })).toEqual(HOLDS);
    await expect(
      patient.rehearse(compileExpectation('post.text == pre.text'), { text: 'x'.repeat(9 * 1024 * 1024) }),
    ).rejects.toThrow('is too costly');
  });
});

test('a check reads up to 16 Mi characters of JSON, and not one more', async () => {
  const of = (characters: number) =>
    check(patient, 'size(post.text) > 1', { text: 'x'.repeat(characters - '{"text":""}'.length) });
  expect(await of(16 * 1024 * 1024)).toEqual(HOLDS);
  expect((await of(16 * 1024 * 1024 + 1)).detail).toMatch(/^The expectation is too costly: it reads 16777217 /);
});

describe('a rehearsal', () => {
  test('refuses what takes too long, with the name of the expectation and what would do', async () => {
    const one = runner({ deadlineMs: 50 });
    await check(one, 'true');
    const slow = compileExpectation(SLOW);
    await expect(one.rehearse(slow, ROWS())).rejects.toMatchObject({
      code: 'INVALID_EXPECTATION',
      field: 'proposal.expect',
      message: 'The expectation took longer than 50 ms.',
      expected: 'an expression that is evaluated within 50 ms and 5000000 steps on the captured state',
      fix: expect.stringMatching(/\w/) as string,
    });
    await expect(one.rehearse({ ...slow, check: 'expect.stock' }, ROWS())).rejects.toMatchObject({
      message: 'The expectation stock took longer than 50 ms.',
    });
  });

  test('is of a world in which nothing changed, and does not ask whether it holds', async () => {
    for (const cel of ['post == pre && delta.operations == 0 && result == null', 'false', 'post.nothing == 1'])
      await expect(patient.rehearse(compileExpectation(cel), { a: 1 })).resolves.toBeUndefined();
  });
});

describe('a rehearsal that was not made', () => {
  const EXPECTATION = compileExpectation('post.t == 1');

  test('of what is no JSON is no fault of the expectation', async () => {
    await expect(patient.rehearse(EXPECTATION, { t: 1n as unknown as Json })).resolves.toBeUndefined();
  });

  test('because the evaluator was closed meanwhile is no fault of it', async () => {
    const one = runner();
    const waiting = [one.rehearse(EXPECTATION, {}), one.rehearse(EXPECTATION, {})];
    await one.close();
    await expect(Promise.all(waiting)).resolves.toEqual([undefined, undefined]);
  });

  test('because no thread started is no fault of it', async () => {
    const one = runner();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] });
    const waiting = one.rehearse(EXPECTATION, {});
    await vi.advanceTimersByTimeAsync(30_010);
    vi.useRealTimers();
    await expect(waiting).resolves.toBeUndefined();
  });
});

describe('the thread', () => {
  test('is ended at the deadline; the next checks are made by another', async () => {
    const one = runner({ deadlineMs: 400 });
    const [slow, ...quick] = await Promise.all([
      check(one, SLOW, ROWS(), { pre: ROWS() }),
      check(one, 'true'),
      check(one, 'post.a == 1', { a: 1 }),
    ]);
    expect(slow).toEqual({ name: 'expect', ok: false, detail: 'The expectation took longer than 400 ms.' });
    expect(quick).toEqual([HOLDS, HOLDS]);
  });

  test('has no deadline while it waits: what took long is not what comes behind it', async () => {
    const one = runner({ deadlineMs: 300 });
    await check(one, 'true');
    const results = await Promise.all([1, 2].map(() => check(one, SLOW, ROWS(), { pre: ROWS() })));
    expect(results.map(({ detail }) => detail)).toEqual(Array(2).fill('The expectation took longer than 300 ms.'));
    expect(await check(one, 'true')).toEqual(HOLDS);
  });

  test('that does not start is given up, and another is started for the next check', async () => {
    const one = runner();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] });
    const waiting = check(one, 'true');
    await vi.advanceTimersByTimeAsync(29_999);
    await vi.advanceTimersByTimeAsync(10);
    vi.useRealTimers();
    expect(await waiting).toEqual({
      name: 'expect',
      ok: false,
      detail: 'The expectation was not evaluated: the evaluator did not start.',
    });
    expect(await check(one, 'true')).toEqual(HOLDS);
  });

  test('has time to start: the deadline is that of a check', async () => {
    const one = runner({ deadlineMs: 1_000_000 });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] });
    const waiting = check(one, 'true');
    await vi.advanceTimersByTimeAsync(29_000);
    vi.useRealTimers();
    expect(await waiting).toEqual(HOLDS);
  });

  test('that runs out of memory fails its check alone, which counts as too costly', async () => {
    const small = runner({ deadlineMs: 60_000, heapMb: 16 });
    const maps = `${'{1:'.repeat(16)}1${'}'.repeat(16)}`;
    const result = check(small, `size(post.t.map(a, post.t.map(b, ${maps}))) == 1`, ROWS());
    expect(await result).toEqual({ name: 'expect', ok: false, detail: 'The expectation took too much memory.' });
    expect(await check(small, 'true')).toEqual(HOLDS);
  });

  test('gives a timely answer also to a process that was too busy to read it', async () => {
    const one = runner({ deadlineMs: 1000 });
    await check(one, 'true');
    expect(await busyFor(1300, () => check(one, 'post.a == 1', { a: 1 }))).toEqual(HOLDS);
  });

  test('that answered late to a process that was busy is kept, and the next check is not taken for the late one', async () => {
    const one = runner({ deadlineMs: 800 });
    await check(one, 'true');
    // The second takes a while: it is under way when the deadline of the first is looked at.
    const both = () => Promise.all([check(one, 'post.a == 1', { a: 1 }), check(one, A_WHILE, ROWS())]);
    expect(await busyFor(1200, both)).toEqual([HOLDS, HOLDS]);
  });

  test('keeps the process alive while somebody waits for it, and not afterwards', async () => {
    const workers = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'Worker' || name === 'MessagePort').length;
    const one = runner();
    await check(one, 'true');
    const idle = workers();
    const result = check(one, 'true');
    expect(workers()).toBeGreaterThan(idle);
    await result;
    expect(workers()).toBe(idle);
  });
});

describe('those that wait', () => {
  test('may be a thousand by default, and as many as is said; one more is told how many wait', async () => {
    const narrow = runner({ queueLimit: 2 });
    const results = await Promise.all(Array.from({ length: 5 }, () => check(narrow, 'true')));
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, false, false]);
    expect(results[4]?.detail).toBe('The expectation was not evaluated: 2 others wait.');
    const wide = runner({});
    const many = await Promise.all(Array.from({ length: 1002 }, () => check(wide, 'true')));
    expect(many.filter(({ ok }) => !ok)).toEqual([
      expect.objectContaining({ detail: expect.stringContaining('1000 others wait') as string }),
    ]);
  });

  test('are failed by the first close, for which no further thread is started', async () => {
    const one = new ExpectationRunner({ deadlineMs: 20_000 });
    const workers = () => process.getActiveResourcesInfo().filter((name) => name === 'Worker').length;
    await check(one, 'true');
    const idle = workers();
    const waiting = [check(one, SLOW, ROWS(), { pre: ROWS() }), check(one, 'true'), check(one, 'true')];
    await one.close();
    for (const { detail } of await Promise.all(waiting))
      expect(detail).toBe('The expectation was not evaluated: the evaluator is closed.');
    expect(workers()).toBeLessThanOrEqual(idle);
  });

  test('are failed when it is closed, at once, and so are those that come later', async () => {
    const one = runner();
    const waiting = [check(one, 'true'), check(one, 'true')];
    await one.close();
    await one.close();
    for (const result of [...(await Promise.all(waiting)), await check(one, 'true')])
      expect(result.detail).toBe('The expectation was not evaluated: the evaluator is closed.');
    // Nobody is told that it was too costly: before the effect, that would be the fault of the expectation.
    await expect(one.rehearse(compileExpectation('true'), {})).resolves.toBeUndefined();
  });
});
