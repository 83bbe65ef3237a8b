/** JSON as it is carried: what no store or signature could carry faithfully is refused, with its place. */
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/action/errors.js';
import { assertJson, canonical, canonicalBytes, digest, digestText, withoutUndefined } from '../../src/action/json.js';
import { parseJson } from '../../src/action/parse.js';

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
const lists = (levels: number): unknown => (levels === 0 ? 1 : [lists(levels - 1)]);

describe('a value is carried', () => {
  test.each([
    [null],
    [true],
    [false],
    [0],
    [-1.5],
    [1e-300],
    [Number.MAX_SAFE_INTEGER],
    [Number.MIN_SAFE_INTEGER],
    [''],
    ['Grüße 👋 \t\n'],
    [[]],
    [[1, [null, 'x']]],
    [{}],
    [{ a: { b: [1, { c: null }] } }],
    [Object.assign(Object.create(null) as object, { a: 1 })],
    [nested(64)],
    [lists(64)],
  ])('%#', (value) => {
    expect(() => assertJson(value, 'v')).not.toThrow();
  });
});

describe('a value is refused with its place', () => {
  class Exotic {
    readonly a = 1;
  }
  test.each<[string, unknown, ErrorCode, string]>([
    ['undefined', { a: undefined }, 'INVALID_JSON', 'v.a'],
    ['a function', { a: [() => 1] }, 'INVALID_JSON', 'v.a[0]'],
    ['a symbol', Symbol('x'), 'INVALID_JSON', 'v'],
    ['a big integer', { a: 1n }, 'INVALID_JSON', 'v.a'],
    ['a date', [new Date(0)], 'INVALID_JSON', 'v[0]'],
    ['a map', new Map(), 'INVALID_JSON', 'v'],
    ['an object of a class', { a: new Exotic() }, 'INVALID_JSON', 'v.a'],
    ['a key that changes what an object is', JSON.parse('{"a": {"__proto__": 1}}'), 'INVALID_JSON', 'v.a'],
    ['sixty-five objects in each other', nested(65), 'INVALID_JSON', `v${'.a'.repeat(65)}`],
    ['sixty-five lists in each other', lists(65), 'INVALID_JSON', `v${'[0]'.repeat(65)}`],
    ['not a number', { a: Number.NaN }, 'INVALID_NUMBER', 'v.a'],
    ['infinity', [1, Number.POSITIVE_INFINITY], 'INVALID_NUMBER', 'v[1]'],
    ['an integer that is larger than any that is exact', 1e300, 'INVALID_NUMBER', 'v'],
    ['an integer that is rounded', Number.MAX_SAFE_INTEGER + 1, 'INVALID_NUMBER', 'v'],
    ['a negative integer that is rounded', Number.MIN_SAFE_INTEGER - 1, 'INVALID_NUMBER', 'v'],
    ['a NUL byte', { a: 'x\u0000y' }, 'INVALID_TEXT', 'v.a'],
    ['a lone surrogate', ['\ud800'], 'INVALID_TEXT', 'v[0]'],
    ['a NUL byte in a key', { 'x\u0000': 1 }, 'INVALID_TEXT', 'v (a key)'],
  ])('%s', (_what, value, code, field) => {
    const refused = expect.objectContaining({
      code,
      field,
      expected: expect.any(String) as string,
      fix: expect.any(String) as string,
    }) as Error;
    expect(() => assertJson(value, 'v')).toThrow(refused);
  });

  test.each([
    [undefined, 'is undefined'],
    [() => 1, 'is function'],
    [new Date(0), 'is an object that is not plain'],
  ])('and with what it is: %s', (value, said) => {
    expect(() => assertJson(value, 'v')).toThrow(said);
  });
});

describe('one value has one text', () => {
  test('whatever the order of its keys', () => {
    expect(canonical({ b: [1, { d: 4, c: 3 }], a: 'é' })).toBe('{"a":"é","b":[1,{"c":3,"d":4}]}');
    expect(digest({ b: 1, a: 2 })).toBe(digest({ a: 2, b: 1 }));
    expect(digest({ a: 1 })).not.toBe(digest({ a: '1' }));
  });

  test('of which the digest is the SHA-256', () => {
    // The digest of `{}`, as RFC 6234's function gives it.
    expect(digest({})).toBe('sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
    expect(digestText('{}')).toBe(digest({}));
    expect(digestText('é')).toBe(digestText(Buffer.from('c3a9', 'hex').toString('utf8')));
  });

  test('and whose bytes are counted, not its characters', () => {
    expect(canonicalBytes('é')).toBe(4);
    expect(canonicalBytes({ a: 1 })).toBe(7);
  });

  test('which is that of RFC 8785, as another implementation has it', () => {
    const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }), fc.nat(20).map(String), fc.constant('\\ud800'));
    const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), key, fc.boolean(), fc.constant(null));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ depthSize: 'small' }, value, fc.array(tie('tree')), fc.dictionary(key, tie('tree'))),
    }));
    fc.assert(fc.property(tree, (json) => canonical(json) === canonicalize(json)));
    // More keys than are sorted by insertion, in the order of UTF-16 code units: a surrogate pair is before U+FB33.
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [String.fromCodePoint((i % 2 === 0 ? 0x1f600 : 0xf000) + i), i]),
    );
    expect(canonical({ '\ufb33': 1, ...many })).toBe(canonicalize({ '\ufb33': 1, ...many }));
  });

  test.each<[string, unknown]>([
    ['is nothing', undefined],
    ['is no number', [Number.NaN]],
    ['has no end', { a: Number.POSITIVE_INFINITY }],
    ['is no JSON', { a: 1n }],
    ['has half a character', 'a\ud83d'],
    ['has half a character behind a backslash', { '\\\udc00': 1 }],
  ])('unless it %s', (_, value) => {
    expect(() => canonical(value)).toThrow(expect.objectContaining({ code: 'INVALID_JSON' }) as Error);
  });

  test('and what could not be written is the cause', () => {
    expect(() => canonical([Number.NaN])).toThrow(
      expect.objectContaining({ cause: expect.any(Error) as Error }) as Error,
    );
  });
});

test('keys without a value are left out, and empty values stay', () => {
  const value: object = withoutUndefined({ a: undefined, b: null, c: 0, d: '', e: false });
  expect(Object.keys(value)).toEqual(['b', 'c', 'd', 'e']);
});

describe('a text of JSON', () => {
  test('is read as it is', () => {
    expect(parseJson(' {"a": [1, -2.5e3, true, null, "x"]} ', 'body')).toEqual({ a: [1, -2500, true, null, 'x'] });
    expect(parseJson('9007199254740991', 'body')).toBe(Number.MAX_SAFE_INTEGER);
    expect(parseJson('0.1', 'body')).toBe(0.1);
  });

  test.each<[string, ErrorCode, string]>([
    ['{"a": 1, "a": 2}', 'INVALID_JSON', 'has the key "a" twice'],
    ['{"a": {"b": 1, "b": "1"}}', 'INVALID_JSON', 'has the key "b" twice'],
    ['{"a": 1', 'INVALID_JSON', 'is not JSON'],
    ['', 'INVALID_JSON', 'is not JSON'],
    ['9007199254740993', 'INVALID_NUMBER', '9007199254740993'],
    ['1e400', 'INVALID_NUMBER', '1e400'],
    [`1${'0'.repeat(60)}1`, 'INVALID_NUMBER', `1${'0'.repeat(23)}…`],
    ['"\\u0000"', 'INVALID_TEXT', 'NUL byte'],
    ['{"__proto__": 1}', 'INVALID_JSON', ''],
  ])('is refused: %s', (text, code, said) => {
    const refused = expect.objectContaining({
      code,
      field: expect.stringMatching(/^body/) as string,
      message: expect.stringContaining(said) as string,
    }) as Error;
    expect(() => parseJson(text, 'body')).toThrow(refused);
  });
});
