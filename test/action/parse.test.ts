/** Texts from outside: what two readers could read as two things is refused. */
import { expect, test } from 'vitest';
import { readYaml } from '../../src/action/parse.js';

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
