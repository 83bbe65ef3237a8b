/** One notation of durations, for policies, limits, commands and pages. */
import { expect, test } from 'vitest';
import { formatDuration, parseDuration, parseSeconds } from '../../src/action/duration.js';

test.each([
  ['1ms', 1],
  ['30s', 30_000],
  ['15m', 900_000],
  ['4h', 14_400_000],
  ['1h30m', 5_400_000],
  ['7d', 604_800_000],
  ['1w2d', 777_600_000],
  ['1w1d1h1m1s1ms', 694_861_001],
  ['999999999s', 999_999_999_000],
])('%s is read as %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  '',
  '5',
  '0s',
  '1.5h',
  '-1h',
  '1 h',
  ' 1h',
  '30m1h',
  '1h1h',
  '1y',
  '1H',
  'h',
  '1h\n',
  '9999999999s',
  '999999999w999999999d',
  '0ms',
  'x1h',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('a part of a second is no whole number of seconds', () => {
  expect([parseSeconds('1500ms'), parseSeconds('2000ms'), parseSeconds('1m')]).toEqual([undefined, 2, 60]);
  expect([parseSeconds('1ms'), parseSeconds('x'), parseSeconds('0s'), parseSeconds('1s')]).toEqual([
    undefined,
    undefined,
    undefined,
    1,
  ]);
});

test.each([
  [0, '0s'],
  [-1, '0s'],
  [1, '1s'],
  [59_001, '1m'],
  [61_000, '1m 1s'],
  [12_000_000, '3h 20m'],
  [3_600_000, '1h'],
  [3_601_000, '1h'],
  [90_000_000, '1d 1h'],
  [86_460_000, '1d'],
  [93_784_000, '1d 2h'],
  [604_800_000, '7d'],
  [1000, '1s'],
  [60_000, '1m'],
])('%d ms is written %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
