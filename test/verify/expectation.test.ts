/** Which texts compile as expectations, and that all others are refused quickly, with a code and a fix. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { compileExpectation, compileExpectations } from '../../src/verify/index.js';

/** The refusal of a text; a text that compiles counts as refused in the right way. */
function attempt(source: string): unknown {
  try {
    compileExpectation(source);
  } catch (error) {
    return error;
  }
  return { code: 'INVALID_EXPECTATION', field: 'proposal.expect' };
}

function refusal(source: string): CountersignError {
  try {
    compileExpectation(source);
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error(`compiled: ${source.slice(0, 100)}`);
}

describe('a valid expectation', () => {
  test.each([
    ['post.orders["41"].status == "paid"', ['post']],
    ['size(post.sessions) == 0 && result.rowCount == size(pre.sessions)', ['post', 'pre', 'result']],
    ['delta.operations <= 3 && delta.latencyMs < 500', ['delta']],
    ['!has(post.customers["7"]) && !("7" in post.customers)', ['post']],
    ['post.orders.all(id, post.orders[id].total >= 0.0)', ['post']],
    [
      'post.orders.filter(id, post.orders[id].open).map(id, post.orders[id].total).exists(total, total > 100)',
      ['post'],
    ],
    ['pre.orders.all(id, post.orders[id].lines.exists(line, line.sku == "a"))', ['post', 'pre']],
    ['timestamp(post.orders["1"].paid_at) > timestamp("2024-01-01T00:00:00Z")', ['post']],
    ['post.users["1"].email.matches("^[^@]+@example\\\\.com$")', ['post']],
    ['result.ok ? post.a["1"].x == 1 : true', ['post', 'result']],
    ['true', []],
    ['result', ['result']],
  ])('%s', (source, uses) => {
    expect(compileExpectation(source)).toMatchObject({ source, uses, withinMs: 0 });
  });

  test('keeps its deadline', () => {
    expect(compileExpectation({ cel: 'true', withinMs: 2500 }).withinMs).toBe(2500);
    expect(compileExpectation({ cel: 'true' }).withinMs).toBe(0);
  });

  test('can be posted to a thread', () => {
    const { program } = compileExpectation('has(post.t["1"]) && post.t.all(k, size(k) > 0)');
    expect(structuredClone(program)).toEqual(program);
  });
});

describe('an invalid expectation', () => {
  test.each([
    ['a syntax error', 'post.orders ==', /does not compile: .+ \(line 1, column \d+\)/],
    ['a syntax error further down', 'post.orders == 1 &&\n  )', /line \d, column \d+/],
    ['nothing', '', /has 0 characters/],
    ['blanks', '   ', /does not compile/],
    ['an unknown name', 'pots.orders == 1', /names "pots".*line 1, column 1\)/],
    ['an unknown name on another line', 'size(post.a) == 0 &&\n  row.x == 1', /names "row".*line 2, column 3\)/],
    ['a variable outside of its comprehension', 'post.t.all(k, true) && k == "a"', /names "k"/],
    ['an unknown name in a leading-dot form', '.orders == 1', /names "orders"/],
    ['a type', 'type(post) == map', /calls type\(\)/],
    ['the accumulator of comprehensions', 'post.t.all(k, __result__)', /names "__result__"/],
    ['a comprehension that hides post', 'post.t.all(post, post == "a")', /takes "post" as a variable/],
    ['an unknown function', 'total(post.orders) == 1', /calls total\(\) with 1 argument/],
    ['an unknown method', 'post.orders.sort() == []', /calls .sort\(\)/],
    ['a wrong number of arguments', 'size() == 0', /calls size\(\) with 0 arguments/],
    ['a function used as a method', 'post.a.int() == 0', /calls .int\(\)/],
    ['a method used as a function', 'startsWith(post.a, "x")', /calls startsWith\(\)/],
    ['a macro without its condition', 'post.t.all(k)', /calls .all\(\) with 1 argument/],
    ['has() of a computed key', 'pre.t.all(k, has(post.t[k]))', /uses has\(\)/],
    ['has() of a table', 'has(post)', /uses has\(\)/],
    ['bytes', 'bytes(post.a) == b"x"', /calls bytes/],
    ['a literal of bytes', 'post.a == b"x"', /a literal of bytes/],
    ['a time zone', 'timestamp(post.a).getHours("Asia/Tokyo") == 1', /calls .getHours\(\) with 1 argument/],
    ['a message', 'google.protobuf.Duration{seconds: 1} == post.a', /a message/],
    ['an integer beyond 64 bits', 'post.a == 9223372036854775808', /more than 64 bits/],
    ['an unsigned literal', 'post.a == 1u', /unsigned/],
    ['a computed pattern', 'post.a.matches(post.b)', /pattern that is computed/],
    ['a bad pattern', 'post.a.matches("(")', /pattern that cannot be used.*missing closing/],
    ['a pattern with look-ahead', 'post.a.matches("(?=a)b")', /pattern that cannot be used/],
    ['a pattern that multiplies', 'post.a.matches("x{1000}y{1000}")', /too costly/],
    ['a pattern as long as a program', `post.a.matches("${'\\\\pL'.repeat(100)}")`, /too costly/],
    ['three nested comprehensions', 'post.a.all(x, post.a.all(y, post.a.all(z, x == y)))', /nests more than 2/],
    [
      'three, one of them in a range',
      'post.a.all(x, post.a.all(y, post.a.filter(z, true).size() == 0))',
      /nests more than 2/,
    ],
    ['a number', 'size(post.sessions)', /does not yield a boolean/],
    ['a text', '"yes"', /does not yield a boolean/],
    ['a list', 'post.t.filter(k, true)', /does not yield a boolean/],
    ['a whole state', 'post', /does not yield a boolean/],
    ['a NUL byte', 'post.a == "\u0000"', /NUL/],
    ['half a surrogate pair', 'post.a == "\ud83d"', /surrogate/],
  ])('%s is refused', (_, source, message) => {
    const error = refusal(source);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ code: 'INVALID_EXPECTATION', field: 'proposal.expect' });
    expect(error.expected).toBeTruthy();
    expect(error.fix).toBeTruthy();
  });

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'globalThis', 'process', 'require', 'this'])(
    'the name %s means nothing',
    (name) => {
      expect(refusal(`${name} == 1`).code).toBe('INVALID_EXPECTATION');
      expect(refusal(`${name}("process.exit()") == 1`).code).toBe('INVALID_EXPECTATION');
      expect(refusal(`post.${name}() == 1`).code).toBe('INVALID_EXPECTATION');
    },
  );
});

describe('the expectations of a proposal', () => {
  const checks = (expectations: Parameters<typeof compileExpectations>[0]) =>
    compileExpectations(expectations).map(({ check, source, withinMs }) => [check, source, withinMs]);

  test('are none, one, or several with names', () => {
    expect(compileExpectations(undefined)).toEqual([]);
    expect(compileExpectations([])).toEqual([]);
    expect(checks('true')).toEqual([['expect', 'true', 0]]);
    expect(checks({ cel: 'true', withinMs: 5 })).toEqual([['expect', 'true', 5]]);
    expect(
      checks([
        { name: 'stock', cel: 'true', withinMs: 5 },
        { name: 'total', cel: 'false' },
      ]),
    ).toEqual([
      ['expect.stock', 'true', 5],
      ['expect.total', 'false', 0],
    ]);
  });

  test('are refused by the name and the place of the one that is wrong', () => {
    const wrong = (expectations: Parameters<typeof compileExpectations>[0]) => () => compileExpectations(expectations);
    const list = [
      { name: 'stock', cel: 'true' },
      { name: 'total', cel: 'pots.a == 1' },
    ];
    expect(wrong(list)).toThrow(
      expect.objectContaining({
        code: 'INVALID_EXPECTATION',
        field: 'proposal.expect.1.cel',
        message: expect.stringMatching(/^The expectation total names "pots".* \(line 1, column 1\)\.$/) as string,
      }) as Error,
    );
    expect(wrong('')).toThrow(/^The expectation has 0 characters[^(]*\.$/);
    expect(wrong({ cel: 'post ==' })).toThrow(
      expect.objectContaining({
        field: 'proposal.expect',
        message: expect.stringMatching(/^The expectation does not compile: .* \(line 1, column \d\)\.$/) as string,
        cause: expect.anything() as Error,
      }) as Error,
    );
  });
});

test('the place is left out where the text as a whole is wrong', () => {
  expect(() => compileExpectations('')).toThrow(/^The expectation has 0 characters\.$/);
  expect(() => compileExpectations([{ name: 'long', cel: 'a'.repeat(4097) }])).toThrow(
    /^The expectation long has 4097 characters\.$/,
  );
});

describe('a hostile expectation', () => {
  const hostile: [string, string][] = [
    ['five megabytes', `post.a == "${'x'.repeat(5_000_000)}"`],
    ['one character too long', 'a'.repeat(4097)],
    ['two thousand parentheses', `${'('.repeat(2000)}true${')'.repeat(2000)}`],
    ['parentheses that are never closed', '('.repeat(4000)],
    ['a hundred brackets before an error', `${'{('.repeat(50)}${'a+'.repeat(1900)}`],
    ['lists in lists', `${'['.repeat(2000)}1${']'.repeat(2000)}`],
    ['maps in maps', `${'{1:'.repeat(1000)}1${'}'.repeat(1000)} == {}`],
    ['brackets hidden in a text', `"${'('.repeat(150)}" == post.a`],
    ['a chain of fields', `post${'.a'.repeat(2000)} == 1`],
    ['a chain of sums', `1${'+1'.repeat(1500)} == 1`],
    ['a chain of conditions', `${'post.a?true:'.repeat(300)}true`],
    ['a chain of sums in brackets', `${'1+('.repeat(90)}1${')'.repeat(90)} == 1`],
    ['two thousand items', `post.a in [${'1,'.repeat(2000)}1]`],
    ['comprehensions twenty deep', `${'post.a.all(x, '.repeat(20)}true${')'.repeat(20)}`],
  ];
  test.each(hostile)('%s: refused at once', (_, source) => {
    const start = performance.now();
    expect(refusal(source)).toMatchObject({ code: 'INVALID_EXPECTATION', field: 'proposal.expect' });
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('is not repeated in the error', () => {
    for (const [, source] of hostile) expect(JSON.stringify(refusal(source)).length).toBeLessThan(2000);
  });

  const token = fc.constantFrom(
    ...'( ) [ ] { } post pre result k .a .all(k, .map(k, .exists( has( size( + - ! && || == ? : , "s" \' " r" b" 1 1.5 1e999 0x in // \\ @ ` x?'.split(
      ' ',
    ),
    ' ',
    '\n',
  );
  test('any text compiles or is refused with the same code, in a short time', () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 120 }), (tokens) => {
        const start = performance.now();
        expect(attempt(tokens.join(''))).toMatchObject({ code: 'INVALID_EXPECTATION', field: 'proposal.expect' });
        expect(performance.now() - start).toBeLessThan(20_000);
      }),
      { numRuns: 1000 },
    );
  });
});
