/** Slots of time by themselves: where they begin, in which zone. */
import { describe, expect, test } from 'vitest';
import { microsecondsOf, slotBegins, slotOf } from '../../../src/policy/backtest/windows.js';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const at = (time: string) => microsecondsOf(time);

describe('time in slots', () => {
  test('is counted in microseconds, as far as a time tells', () => {
    expect(at('1970-01-01T00:00:01Z')).toBe(SECOND);
    expect(at('1970-01-01T00:00:01.5Z')).toBe(1_500_000);
    expect(at('1970-01-01T00:00:01.123456Z')).toBe(1_123_456);
    expect(at('1970-01-01T00:00:01.1234Z')).toBe(1_123_400);
    expect(at('1970-01-01T00:00:01.123456789Z')).toBe(1_123_456);
  });

  test('of UTC begins at multiples of the width; without a width all time is one', () => {
    expect(slotOf(5 * HOUR + 1, HOUR, '')).toBe(5);
    expect(slotOf(5 * HOUR - 1, HOUR, '')).toBe(4);
    expect(slotBegins(5, HOUR, '')).toBe(5 * HOUR);
    expect(slotOf(5 * HOUR, 0, 'Europe/Berlin')).toBe(0);
  });

  test('of a zone begins at its midnight, also where its clock changes', () => {
    const berlin = (time: string) => slotOf(at(time), DAY, 'Europe/Berlin');
    expect(berlin('2025-01-01T22:59:59.999999Z') + 1).toBe(berlin('2025-01-01T23:00:00Z'));
    expect(berlin('2025-07-01T21:59:59Z') + 1).toBe(berlin('2025-07-01T22:00:00Z'));
    const begins = (time: string) => slotBegins(berlin(time), DAY, 'Europe/Berlin');
    expect(begins('2025-03-30T12:00:00Z')).toBe(at('2025-03-29T23:00:00Z'));
    expect(begins('2025-03-31T12:00:00Z')).toBe(at('2025-03-30T22:00:00Z'));
    expect(begins('2025-10-26T12:00:00Z')).toBe(at('2025-10-25T22:00:00Z'));
    expect(begins('2025-10-27T12:00:00Z')).toBe(at('2025-10-26T23:00:00Z'));
    // In Havana the clock skips midnight in spring, and shows it twice in autumn: it is the first time.
    const havana = (time: string) => slotBegins(slotOf(at(time), DAY, 'America/Havana'), DAY, 'America/Havana');
    expect(havana('2025-03-09T16:00:00Z')).toBe(at('2025-03-09T05:00:00Z'));
    expect(havana('2025-11-02T16:00:00Z')).toBe(at('2025-11-02T04:00:00Z'));
    // A zone half an hour off the others.
    expect(slotBegins(slotOf(at('2025-01-01T12:00:00Z'), DAY, 'Asia/Kolkata'), DAY, 'Asia/Kolkata')).toBe(
      at('2024-12-31T18:30:00Z'),
    );
  });
});
