/** The evaluator thread: the meaning of expressions on captured data, and that none can block, starve or crash the process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { Json } from '../../src/action/json.js';
import type { State } from '../../src/action/snapshot.js';
import {
  compileExpectation,
  type Expectation,
  ExpectationRunner,
  type ExpectationRunnerOptions,
  type ExpectationValues,
} from '../../src/verify/index.js';

const NO_DELTA = { patch: [], operations: 0, latencyMs: 0 };
const runner = new ExpectationRunner({ deadlineMs: 20_000 });
const others: ExpectationRunner[] = [];
afterAll(async () => {
  await Promise.all([runner, ...others].map((each) => each.close()));
});

function ownRunner(options: ExpectationRunnerOptions): ExpectationRunner {
  const own = new ExpectationRunner(options);
  others.push(own);
  return own;
}

function values(post: State, more: Partial<ExpectationValues> = {}): ExpectationValues {
  return { pre: {}, post, delta: NO_DELTA, result: null, ...more };
}

function check(cel: string, post: State = {}, more: Partial<ExpectationValues> = {}, by = runner) {
  return by.evaluate(compileExpectation(cel), values(post, more));
}

/** The compiled text; undefined when it is refused with the right code. */
function compiled(cel: string): Expectation | undefined {
  try {
    return compileExpectation(cel);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'INVALID_EXPECTATION') return undefined;
    throw error;
  }
}

function rows(count: number): State {
  const orders: Record<string, Json> = {};
  for (let row = 0; row < count; row++) {
    orders[String(row)] = {
      id: row,
      email: `user${row}@example.com`,
      qty: row % 7,
      price: row * 1.25,
      note: null,
      tags: ['a', 'b'],
    };
  }
  return { orders, texts: { '1': { large: 'x'.repeat(1024 * 1024) } } };
}
const TEN_THOUSAND = rows(10_000);

describe('what an expectation means', () => {
  const post: State = {
    orders: {
      '1': { qty: 5, price: 2.5, status: 'paid', note: null, tags: ['a', 'b'], paid_at: '2024-05-01T10:00:00Z' },
    },
    sessions: {},
    accounts: {
      a: { balance: 100.5, limit: 100 },
      b: { balance: 9_007_199_254_740_991, limit: -9_007_199_254_740_991 },
    },
  };
  const pre: State = { ...post, orders: { '1': { qty: 4 } }, sessions: { '9': {} } };
  const more = {
    pre,
    delta: { ...NO_DELTA, operations: 2, latencyMs: 40 },
    result: { rowCount: 3, rows: [{ id: 1 }] },
  };

  test.each([
    'post.orders["1"].qty == 5',
    'post.orders["1"].qty == 5.0',
    'post.orders["1"].qty == pre.orders["1"].qty + 1',
    'post.orders["1"].price == 2.5 && post.orders["1"].price * 2 == 5',
    'post.accounts.a.balance - post.accounts.a.limit == 0.5',
    'post.accounts.a.limit - post.accounts.a.balance == -0.5',
    'post.accounts.a.balance > 100 && post.accounts.a.limit < 100.25',
    'post.accounts.b.balance == 9007199254740991 && post.accounts.b.limit == -9007199254740991',
    'post.accounts.b.balance + 1 == 9007199254740992',
    'size(post.sessions) == 0 && size(pre.sessions) == 1',
    'result.rowCount == 3 && result.rows[0].id == 1',
    'delta.operations == 2 && delta.latencyMs < 500',
    '"1" in post.orders && !("7" in post.orders)',
    'has(post.orders["1"]) && !has(post.orders["7"]) && has(post.orders["1"].status)',
    // A column that is null exists.
    'has(post.orders["1"].note) && "note" in post.orders["1"] && post.orders["1"].note == null',
    'post.orders.all(id, post.orders[id].qty > 0)',
    'post.orders.exists_one(id, post.orders[id].status == "paid")',
    'post.orders.map(id, post.orders[id].tags) == [["a", "b"]]',
    'post.orders["1"].tags.filter(tag, tag != "a").map(tag, tag + "!") == ["b!"]',
    'post.orders["1"].status.matches("^pa.d$") && post.orders["1"].status.startsWith("pa")',
    'timestamp(post.orders["1"].paid_at) > timestamp("2024-05-01T09:59:59Z")',
    'timestamp(post.orders["1"].paid_at).getHours() == 10',
    'int("42") == 42 && double("1.5e1") == 15.0 && string(42) == "42"',
    'size("né👍") == 3 && "né👍".size() == 3',
    'post.accounts == pre.accounts && post.orders != pre.orders',
    'has(post.nothing) || true',
  ])('%s holds', async (cel) => {
    expect(await check(cel, post, more)).toEqual({ name: 'expect', ok: true });
  });

  test.each([
    ['post.orders["1"].qty == 6', 'post.orders["1"].qty == 6 is false (left side is 5)'],
    ['size(post.sessions) == 0 && post.orders["1"].qty < pre.orders["1"].qty', '(left side is 5, right side is 4)'],
    ['"7" in post.orders', 'is false (right side is a map of 1)'],
    ['post.orders.exists(id, id == "7")', 'post.orders.exists(id, id == "7") is false'],
    ['!has(post.orders["1"])', 'is false'],
    ['result.rowCount', 'is 3, not true or false'],
    ['post.orders["1"].status', 'is "paid", not true or false'],
    ['post.orders["1"]', 'is a map of 7, not true or false'],
  ])('%s does not hold, and the check says why', async (cel, why) => {
    const result = await check(
      cel,
      { ...post, orders: { '1': { ...(post['orders'] as Record<string, object>)['1'], extra: 1 } as Json } },
      more,
    );
    expect(result).toMatchObject({ name: 'expect', ok: false });
    expect(result.detail).toContain(why);
  });

  test.each([
    ['post.nothing == 1', 'field not found: nothing'],
    ['!(post.nothing == 1)', 'field not found: nothing'],
    ['post.nothing != 1', 'field not found: nothing'],
    ['!has(post.nothing.at.all)', 'field not found: nothing'],
    ['post.orders["7"].qty != 5', 'field not found: 7'],
    ['post.orders[1].qty == 5', 'if that is a key, it is a text: ["1"]'],
    ['result.rows[1].id != 1', 'no item 1'],
    ['post.orders["1"].qty + "a" != "5a"', 'no matching overload'],
    ['post.orders["1"].status > 1', 'no matching overload'],
    ['post.orders["1"].qty / 0 != 1', 'divide by zero'],
    ['9223372036854775807 + 1 > 0', 'overflow'],
    ['int("") == 0', 'not an int'],
    ['int("9223372036854775808") != 0', 'not an int'],
    ['double("") == 0.0', 'not a double'],
    ['!(double("NaN") == 0.0)', 'not a double'],
    ['timestamp("yesterday") != timestamp("2024-01-01T00:00:00Z")', 'Failed to parse timestamp'],
    ['post.orders["1"].tags.all(tag, tag.x != 1)', 'field not found: x'],
    ['1 in post.orders["1"].qty', 'no matching overload'],
  ])('%s is an error, which is never true', async (cel, why) => {
    const result = await check(cel, post, more);
    expect(result).toMatchObject({ name: 'expect', ok: false });
    expect(result.detail).toContain('cannot be evaluated');
    expect(result.detail).toContain(why);
  });

  test('an unknown result reads as null', async () => {
    expect(await check('result == null')).toMatchObject({ ok: true });
    expect(await check('result.rowCount == 0')).toMatchObject({ ok: false });
  });
});

describe('names of prototypes', () => {
  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'])(
    '%s is no key unless the data has it',
    async (name) => {
      const without: State = { t: { '1': { x: 1 } } };
      expect(
        await check(`!has(post.t["${name}"]) && !("${name}" in post.t["1"]) && size(post.t["1"]) == 1`, without),
      ).toMatchObject({ ok: true });
      expect(await check(`post["${name}"] != null`, without)).toMatchObject({ ok: false });
      expect(await check(`post.t["1"].${name} != null`, without)).toMatchObject({ ok: false });
      const having = JSON.parse(`{"t": {"${name}": {"${name}": {"name": "Object"}}}}`) as State;
      expect(
        await check(`post.t["${name}"].${name}.name == "Object" && "${name}" in post.t && size(post.t) == 1`, having),
      ).toEqual({ name: 'expect', ok: true });
    },
  );
});

describe('an expectation that costs too much', () => {
  test.each([
    ['every row with every row', 'post.orders.all(a, post.orders.all(b, a != "x"))', /steps/],
    ['a list of a hundred million', 'size(post.orders.map(a, post.orders.map(b, [a, b]))) == 1', /steps/],
    ['a search in a made list, for every row', 'post.orders.all(k, k in post.orders.map(x, x))', /steps/],
    [
      'an expensive loop whose failure an alternative hides',
      'post.orders.all(a, post.orders.all(b, true)) || true',
      /steps/,
    ],
    [
      'a text that grows',
      `${Array.from({ length: 60 }, () => 'post.texts["1"].large').join(' + ')} == ""`,
      /characters/,
    ],
    ['a text that grows, hidden', 'size(post.texts["1"].large + post.texts["1"].large) > 0 || true', /characters/],
    [
      'a list that grows',
      `size(${Array.from({ length: 11 }, () => 'post.orders.map(x, x)').join(' + ')}) == 1`,
      /items/,
    ],
  ])('%s is stopped, whatever it would have been', async (_, cel, limit) => {
    const result = await check(cel, TEN_THOUSAND);
    expect(result.ok).toBe(false);
    expect(result.detail).toMatch(/is too costly/);
    expect(result.detail).toMatch(limit);
  });

  test.each([
    ['(x+x+)+y', false],
    ['(x*)*$', true],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', false],
    ['(x|xx|xxx)*!', false],
  ])('the pattern %s is linear on a megabyte', async (pattern, ok) => {
    expect((await check(`post.text.matches("${pattern}")`, { text: 'x'.repeat(1024 * 1024) })).ok).toBe(ok);
  });

  test('a reasonable expectation over ten thousand rows is within the limits', async () => {
    const sensible = [
      'post == pre',
      'post.orders.all(k, post.orders[k].qty < 7 && post.orders[k].note == null)',
      'post.orders.filter(k, post.orders[k].qty == 1).size() == 1429',
      'post.orders.map(k, post.orders[k].qty)[9999] == 3 && 5 in post.orders.map(k, post.orders[k].qty)',
      'post.orders.all(k, post.orders[k].tags.exists(tag, tag == "b"))',
      'post.orders.all(k, post.orders[k].email.matches("^user[0-9]+@example\\\\.com$"))',
    ];
    const pre = structuredClone(TEN_THOUSAND);
    for (const cel of sensible) {
      expect(await check(cel, TEN_THOUSAND, { pre })).toEqual({
        name: 'expect',
        ok: true,
      });
    }
  });

  test('is ended at the deadline while the process goes on, and the next one is evaluated', async () => {
    const impatient = ownRunner({ deadlineMs: 150 });
    let turns = 0;
    const turning = setInterval(() => turns++, 5);
    const result = await check(
      'post.orders.all(k, post.orders == pre.orders)',
      TEN_THOUSAND,
      { pre: structuredClone(TEN_THOUSAND) },
      impatient,
    );
    clearInterval(turning);
    expect(result).toEqual({ name: 'expect', ok: false, detail: 'The expectation took longer than 150 ms.' });
    expect(turns).toBeGreaterThan(5);
    expect(await check('post.a == 1', { a: 1 }, {}, impatient)).toEqual({ name: 'expect', ok: true });
  });
});

describe('before the effect', () => {
  test('an expectation that would run too long is refused by its rehearsal', async () => {
    const bomb = compileExpectation('post.orders.all(a, post.orders.all(b, a != "x"))');
    await expect(runner.rehearse(bomb, TEN_THOUSAND)).rejects.toMatchObject({
      code: 'INVALID_EXPECTATION',
      field: 'proposal.expect',
      message: expect.stringContaining('too costly') as string,
      expected: expect.any(String) as string,
      fix: expect.any(String) as string,
    });
  });

  test('one that does not hold yet, or cannot be evaluated yet, passes its rehearsal', async () => {
    for (const cel of ['post.orders["x"].qty == 1', 'result.rowCount == 1 && size(post.orders) == 0']) {
      await expect(runner.rehearse(compileExpectation(cel), TEN_THOUSAND)).resolves.toBeUndefined();
    }
  });
});

describe('the thread', () => {
  test('gives each of many callers its own result', async () => {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => check(`result == ${index - (index % 2)}`, {}, { result: index })),
    );
    expect(results.map(({ ok }) => ok)).toEqual(Array.from({ length: 200 }, (_, index) => index % 2 === 0));
  });

  test('does not keep a process alive, and a process that waits for a result gets it', async () => {
    const script = `
      import { compileExpectation, ExpectationRunner } from ${JSON.stringify(new URL('../../src/verify/index.ts', import.meta.url).href)};
      const values = { pre: {}, post: { a: 1 }, delta: { patch: [], operations: 0, latencyMs: 0 }, result: null };
      const check = await new ExpectationRunner().evaluate(compileExpectation('post.a == 1'), values);
      process.stdout.write(JSON.stringify(check));`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect({ code, output }).toEqual({ code: 0, output: '{"name":"expect","ok":true}' });
  });

  const root = fc.constantFrom('post', 'pre', 'result', 'delta');
  const expression = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      root,
      fc.constantFrom('1', '-1', '1.5', '"a"', 'null', 'true', '[]', '{}', '9223372036854775807', '"constructor"'),
      fc
        .tuple(tie('any'), fc.constantFrom('+', '-', '*', '/', '%', '==', '<', '&&', '||', 'in'), tie('any'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(tie('any'), fc.constantFrom('a', 'constructor', 'length')).map(([a, field]) => `${a}.${field}`),
      fc.tuple(tie('any'), tie('any')).map(([a, index]) => `${a}[${index}]`),
      fc
        .tuple(tie('any'), fc.constantFrom('all', 'exists', 'map', 'filter', 'exists_one'), tie('any'))
        .map(([a, macro, body]) => `${a}.${macro}(k, ${body})`),
      fc
        .tuple(fc.constantFrom('size', 'int', 'string', 'double', 'timestamp', 'duration', '!', '-'), tie('any'))
        .map(([name, a]) => `${name}(${a})`),
      fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
    ),
  })).any;
  test('every compiled expression gives a check', async () => {
    const data: State = { a: { '1': { a: 1, b: 'text', c: [1, 2.5, null] } }, constructor: { '1': {} } };
    await fc.assert(
      fc.asyncProperty(expression, async (text) => {
        const expectation = compiled(text);
        fc.pre(expectation !== undefined);
        const result = await runner.evaluate(expectation, values(data, { pre: data, result: [1, 2] }));
        expect(result.ok ? 'holds' : result.detail).toMatch(/^(holds|The expectation .+)$/s);
      }),
      { numRuns: 300 },
    );
  });
});
