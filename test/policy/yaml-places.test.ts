/** The files of limits and history, read: plain YAML alone, and the place of whatever is wrong in them. */
import { describe, expect, test } from 'vitest';
import type { SourceLocation } from '../../src/policy/cedar.js';
import { readYaml } from '../../src/policy/limits/yaml.js';
import type { BundleProblem } from '../../src/policy/problems.js';

function problems(text: string, file?: string): readonly BundleProblem[] {
  const found: BundleProblem[] = [];
  expect(readYaml(text, found, file)).toBeUndefined();
  expect(found.length).toBeGreaterThan(0);
  return found;
}
function read(text: string) {
  const found: BundleProblem[] = [];
  const file = readYaml(text, found);
  if (file === undefined) throw new Error(JSON.stringify(found));
  return file;
}
/** The place of the first problem. */
function placeOf([first]: readonly BundleProblem[]): SourceLocation {
  if (first === undefined || typeof first.at === 'string') throw new Error('It has no place.');
  return first.at;
}
const spot = ({ line, column }: SourceLocation): string => `${line}:${column}`;

describe('what is no plain YAML is refused with its place', () => {
  test.each<[string, string, string, string, string]>([
    ['a: 1\na: 2', '2:1', 'a key is there twice', 'each key once', 'Remove one of the two.'],
    ['a: [1', '1:6', 'it is not YAML: ', 'YAML 1.2', 'Correct the line named.'],
    ['a: 1\nb: &x 2', '2:7', 'it has an anchor', 'plain values', 'Write the value itself, in full.'],
    ['a: &x 1\nb: *x', '1:7', 'it has an anchor', 'plain values', 'Write the value itself, in full.'],
    ['a: !!str 1', '1:10', 'it has a tag', 'plain values', 'Write the value itself, in full.'],
    ['a:\n  __proto__: 1', '2:3', 'a key is "__proto__"', 'another key', 'Rename it.'],
    ['? [a]\n: 1', '1:3', 'it is not YAML: ', 'YAML 1.2', 'Correct the line named.'],
  ])('%j', (text, at, message, expected, fix) => {
    const found = problems(text, 'x.yaml');
    expect(found[0]).toMatchObject({ message: expect.stringContaining(message) as string, expected, fix });
    expect(spot(placeOf(found))).toBe(at);
    expect(placeOf(found).file).toBe('x.yaml');
  });

  test('all of it, and an alias too', () => {
    expect(problems('a: &x 1\nb: *x\nc: !!str 1').map(({ message }) => message)).toEqual([
      'it has an anchor',
      'it has an alias',
      'it has a tag',
    ]);
    expect(placeOf(problems('a: *x')).file).toBe('limits.yaml');
  });

  test('also where problems were found elsewhere before', () => {
    const found: BundleProblem[] = [{ at: 'other', message: 'm', fix: 'f' }];
    expect(readYaml('a: 1', found)?.value).toEqual({ a: 1 });
    expect(found).toHaveLength(1);
  });

  test.each([
    ['brackets', (n: number) => `a: ${'['.repeat(n)}${']'.repeat(n)}`],
    ['braces', (n: number) => `${'{a: '.repeat(n)}1${'}'.repeat(n)}`],
    ['lists in a line', (n: number) => `${'- '.repeat(n)}1`],
    [
      'lines that begin ever further right',
      (n: number) => Array.from({ length: n }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    ],
  ])('%s that nest up to 64 deep are read, and what nests deeper is not even parsed', (_, nested) => {
    expect(read(nested(64)).value).toBeDefined();
    expect(problems(nested(66), 'x.yaml')).toEqual([
      { at: 'x.yaml', message: 'it nests too deeply', fix: 'Write it flatter.' },
    ]);
    expect(problems(nested(3000))).toHaveLength(1);
  });

  test('brackets that are closed, and lines one after the other, do not nest', () => {
    expect(read(`a: [${'[1], '.repeat(100)}]`).value).toMatchObject({ a: { length: 100 } });
    expect(read(Array.from({ length: 100 }, (_, i) => `k${i}: {a: 1}`).join('\n')).value).toBeDefined();
    expect(read(Array.from({ length: 100 }, () => '- 1').join('\n')).value).toHaveLength(100);
    expect(read(`a:\n  b: [1,\n${' '.repeat(80)}2]`).value).toEqual({ a: { b: [1, 2] } });
  });
});

describe('a place', () => {
  const TEXT = `limits:
  one: {kind: count, max: 5}
  two:
    when: 'a == b'
    list: [1, 22]
    empty:
    text: |
      first
      second line
    folded: >
      first
      second
`;
  const file = read(TEXT);

  test('of a value is where it begins, of one that is not there that of its key, of no key that of what it would be in', () => {
    const at = (...path: (string | number)[]) => spot(file.at(path));
    expect(at()).toBe('1:1');
    expect(at('limits', 'one')).toBe('2:8');
    expect(at('limits', 'one', 'max')).toBe('2:27');
    expect(at('limits', 'two', 'list', 1)).toBe('5:15');
    expect(at('limits', 'two', 'empty')).toBe('6:5');
    expect(at('limits', 'two', 'missing')).toBe('3:3');
    expect(at('nothing', 'at', 'all')).toBe('1:1');
    expect(file.at([]).file).toBe('limits.yaml');
  });

  test('of a key is where it begins', () => {
    const at = (...path: (string | number)[]) => spot(file.atKey(path));
    expect(at('limits', 'two', 'when')).toBe('4:5');
    expect(at('limits', 'one', 'max')).toBe('2:22');
    expect(at('limits', 'two', 'missing')).toBe('3:3');
    expect(at()).toBe('1:1');
    expect(at('limits', 'two', 'list', 1)).toBe('5:5');
  });

  test('within a text is that of the character, in quotes and in a block; else that of the whole text', () => {
    const within = (key: string, text: string, offset: number) => {
      const { place, exact } = file.within(['limits', 'two', key], text, offset);
      return `${spot(place)} ${exact}`;
    };
    expect(within('when', 'a == b', 5)).toBe('4:17 true');
    expect(within('text', 'first\nsecond line\n', 0)).toBe('8:7 true');
    expect(within('text', 'first\nsecond line\n', 13)).toBe('9:14 true');
    expect(within('folded', 'first second\n', 7)).toBe('10:13 false');
    expect(within('missing', 'x', 0)).toBe('3:3 false');
    const plain = read('a: x + y\nb: "x \\u002b y"');
    expect(plain.within(['a'], 'x + y', 2)).toMatchObject({ place: { line: 1, column: 6 }, exact: true });
    expect(plain.within(['b'], 'x + y', 2)).toMatchObject({ place: { line: 2, column: 4 }, exact: false });
    const chomped = read('a: |2-\n    x\n  y');
    expect(chomped.within(['a'], '  x\ny', 4)).toMatchObject({ place: { line: 3, column: 3 }, exact: true });
  });

  test('in a file that is empty is its beginning', () => {
    const empty = read('');
    expect(empty.value).toBeNull();
    expect([spot(empty.at([])), spot(empty.atKey([])), spot(empty.at(['a']))]).toEqual(['1:1', '1:1', '1:1']);
  });
});
