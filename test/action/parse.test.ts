/** Texts from outside: what two readers could read as two things is refused. */
import { expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { parseJson, readYaml } from '../../src/action/parse.js';

function refused(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
  }
  throw new Error('it was accepted');
}

test.each(['{ [a, b]: 1, "[ a, b ]": 2 }', '? { a: 1 }\n: 2', 'x: &k a\n*k : 1'])(
  'a key of YAML that is no plain value is refused: %j',
  (text) => {
    expect(() => readYaml(text, 'limits.yaml')).toThrow(
      expect.objectContaining({ code: 'INVALID_YAML', field: 'limits.yaml' }) as Error,
    );
  },
);

test('keys of YAML may be texts, numbers, true and false', () => {
  expect(readYaml('a: 1\n2: b\ntrue: c', 'x')).toEqual({ a: 1, 2: 'b', true: 'c' });
});

test.each([
  ['{"a": 1, "a": 2}', 'INVALID_JSON', 'x has the key "a" twice in one object'],
  ['{"a": 1', 'INVALID_JSON', 'x is not JSON: '],
  [
    '{"a": 12345678901234567890}',
    'INVALID_NUMBER',
    'x holds a number that JSON cannot carry exactly: 12345678901234567890…',
  ],
  ['{"a": 1e400}', 'INVALID_NUMBER', 'x holds a number'],
  ['"\\ud800"', 'INVALID_TEXT', ''],
])('JSON is read strictly: %s', (text, code, message) => {
  const error = refused(() => parseJson(text, 'x'));
  expect(error.code).toBe(code);
  expect(error.message).toContain(message);
  expect(error.field).toBe('x');
  expect(error.fix).toMatch(/\w/);
});

test('JSON that is no JSON says what the reader found', () => {
  expect(refused(() => parseJson('{', 'x')).cause).toBeInstanceOf(Error);
  expect(parseJson('[1, "a", null, {"b": -1.5}]', 'x')).toEqual([1, 'a', null, { b: -1.5 }]);
  expect(parseJson('{"a": 0.1234567890123456789012345}', 'x')).toEqual({ a: 0.12345678901234568 });
});

test.each([
  ['a: 1\na: 2', /^x: Map keys must be unique/],
  ['a: [1', /^x: /],
  ['a: !secret b', /^x: Unresolved tag/],
  ['a: 1\n b: 2', /^x: /],
])('YAML that two readers could read as two things is refused with its place: %j', (text, message) => {
  const error = refused(() => readYaml(text, 'x'));
  expect(error).toMatchObject({ code: 'INVALID_YAML', field: 'x', expected: 'YAML 1.2 with each key once' });
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/line \d+, column \d+/);
  expect(error.cause).toBeInstanceOf(Error);
});

test('aliases that multiply are refused, and a few are read', () => {
  const billion = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...'bcdefg'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(', ')}]`),
  ];
  expect(refused(() => readYaml(billion.join('\n'), 'x'))).toMatchObject({
    code: 'INVALID_YAML',
    field: 'x',
    message: expect.stringMatching(/^x: Excessive alias count/),
    cause: expect.any(Error),
  });
  expect(readYaml('a: &a 1\nb: *a', 'x')).toEqual({ a: 1, b: 1 });
});

test('YAML is read by version 1.2: yes, no and 010 are what they look like', () => {
  expect(readYaml('a: yes\nb: no\nc: 010\nd: 0o10\ne: <<', 'x')).toEqual({ a: 'yes', b: 'no', c: 10, d: 8, e: '<<' });
});
