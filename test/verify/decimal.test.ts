/** Decimals: what expectations add and compare is exact, whatever a double would make of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { add, distance, isAtMost, parseDecimal, toDouble, ZERO } from '../../src/verify/decimal.js';

const sum = (...values: unknown[]): number => toDouble(values.map(parseDecimal).reduce(add, ZERO));
const apart = (left: unknown, right: unknown): number => toDouble(distance(parseDecimal(left), parseDecimal(right)));

describe('a number is read as it is written', () => {
  test.each<[unknown, bigint, number]>([
    [0, 0n, 0],
    [-7, -7n, 0],
    [12n, 12n, 0],
    [-12n, -12n, 0],
    ['12', 12n, 0],
    ['+12', 12n, 0],
    ['-12.50', -1250n, 2],
    ['.5', 5n, 1],
    ['5.', 5n, 0],
    ['007', 7n, 0],
    ['1e3', 1000n, 0],
    ['1.5E+3', 1500n, 0],
    ['1.5e1', 15n, 0],
    ['1.25e1', 125n, 1],
    ['5e-3', 5n, 3],
    ['-2.5e-10', -25n, 11],
    [0.1, 1n, 1],
    [1e21, 10n ** 21n, 0],
    [1.5e-7, 15n, 8],
    ['9'.repeat(200), BigInt('9'.repeat(200)), 0],
    ['1e999', 10n ** 999n, 0],
  ])('%s', (value, digits, scale) => {
    expect(parseDecimal(value)).toEqual({ digits, scale });
  });

  test.each([
    [''],
    ['.'],
    ['-'],
    ['e3'],
    ['twelve'],
    ['1,5'],
    ['1 '],
    [' 1'],
    ['x1'],
    ['1x'],
    ['1e'],
    ['1e1.5'],
    ['1e1000'],
    ['--1'],
    ['0x10'],
    ['9'.repeat(201)],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [null],
    [undefined],
    [true],
    [{}],
    [['1']],
  ])('and %s is none', (value) => {
    expect(() => parseDecimal(value)).toThrow(/^not a number/);
  });
});

test('sums are exact where doubles are not', () => {
  expect(sum(0.1, 0.2)).toBe(0.3);
  expect(sum('0.10', '0.20', -0.3)).toBe(0);
  expect(sum(1, '0.25', 2n)).toBe(3.25);
  expect(sum('1e20', 1, '-1e20')).toBe(1);
  expect(sum()).toBe(0);
});

test('a distance has no sign', () => {
  expect(apart('1.10', 1)).toBe(0.1);
  expect(apart(1, '1.1')).toBe(0.1);
  expect(apart(-5, 5)).toBe(10);
  expect(apart('2.50', '2.5')).toBe(0);
});

test.each([
  ['0.1', '0.10', true],
  ['0.1', '0.09', false],
  ['0.1', '0.2', true],
  ['-1', '0.5', true],
  ['10', '9.99', false],
])('%s is at most %s: %s', (value, most, is) => {
  expect(isAtMost(parseDecimal(value), parseDecimal(most))).toBe(is);
});

test.each([
  ['-0.05', -0.05],
  ['0.05', 0.05],
  ['123.456', 123.456],
  ['-7', -7],
  ['1e400', Number.POSITIVE_INFINITY],
])('%s as a double is %d', (text, double) => {
  expect(toDouble(parseDecimal(text))).toBe(double);
});

test('any whole cents add up to what integers add up to', () => {
  const cents = fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { maxLength: 20 });
  fc.assert(
    fc.property(cents, (amounts) => {
      const total = amounts.reduce((one, other) => one + other, 0);
      const texts = amounts.map((amount) => `${amount < 0 ? '-' : ''}${Math.abs(amount) / 100}`);
      expect(Math.round(sum(...texts) * 100)).toBe(total);
    }),
    { numRuns: 100 },
  );
});
