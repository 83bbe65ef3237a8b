import { describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { DEFAULT_SENDS, instant, sendBoundOf, Sends, type SentSoFar } from '../../src/tools/sends.js';
import { expectCode } from './conformance.js';

const FAILURE = new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true });
const putOff = (retryAfterMs: number) =>
  new CountersignError('TOOL_UNAVAILABLE', 'Put off.', { retryable: true, retryAfterMs });

/** The sends of an action of which so many were made before, in so many milliseconds. */
function after(sends: number, sendingMs = 0): Sends {
  let count = sends;
  const sent = (): SentSoFar => ({ sends: count, sendingMs, sinceFirstMs: sendingMs });
  return new Sends(DEFAULT_SENDS, { count: async () => ({ ...sent(), sends: ++count }), confirm: async () => {} });
}

describe('the pauses between sends', () => {
  test.each([
    [1, 250, 500],
    [2, 500, 1_000],
    [3, 1_000, 2_000],
    [4, 2_000, 4_000],
  ])('after %i sends it is from %i to %i ms, and not always the same', async (made, least, most) => {
    const pauses = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const sends = after(made - 1);
        await sends.begin();
        return sends.pauseAfter(FAILURE) ?? 0;
      }),
    );
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
    expect(new Set(pauses).size).toBeGreaterThan(1);
  });

  test.each([
    [2_000, 2_000, 2_200],
    [0, 250, 500],
    [1, 250, 500],
  ])('what the system states (%i ms) is obeyed, and is never less than our own', async (stated, least, most) => {
    const sends = after(0);
    await sends.begin();
    const pause = sends.pauseAfter(putOff(stated));
    expect(pause).toBeGreaterThanOrEqual(least);
    expect(pause).toBeLessThanOrEqual(most);
  });

  test.each([
    ['the fifth send', 4, 0, 0],
    ['a time stated that is longer than a minute', 0, 0, 86_400_000],
    ['a time stated that is longer than what is left of it', 1, 45_000, 20_000],
    ['a minute of sending', 1, 59_900, 0],
  ])('there is none after %s', async (_what, before, sendingMs, stated) => {
    const sends = after(before, sendingMs);
    await sends.begin();
    expect(sends.pauseAfter(putOff(stated))).toBeUndefined();
  });
});

describe('a send that may not be made is refused before it', () => {
  test.each([
    ['the sixth', 5, 0],
    ['one after a minute', 1, 60_001],
  ])('%s', async (_what, before, sendingMs) => {
    const error = await expectCode(after(before, sendingMs).begin(), 'TOOL_UNAVAILABLE');
    expect(error).toMatchObject({ retryable: false, expected: 'at most 5 sends of an action within 60000 ms' });
  });

  test('a send that never left does not count, and one that is reserved counts once', async () => {
    const sends = after(3);
    await sends.reserve();
    await sends.reserve();
    await sends.begin();
    sends.unsent();
    await sends.begin();
    await sends.begin();
    expect((await expectCode(sends.begin(), 'TOOL_UNAVAILABLE')).retryAfterMs).toBeGreaterThan(0);
  });

  test('the last error says what the system said, and when to come again', () => {
    expect(after(5).over(putOff(86_400_000)).toJSON()).toMatchObject({
      code: 'TOOL_UNAVAILABLE',
      message: 'Put off. It is not sent again.',
      retryAfterMs: 86_400_000,
    });
  });
});

test.each([{ max: 0 }, { max: 21 }, { max: 1.5 }, { withinMs: 999 }, { withinMs: 600_001 }, { often: 3 }])(
  'a bound of %o is refused when the config is loaded',
  (declared) => {
    expect(() => sendBoundOf(declared, 'the config')).toThrow(/sends\.\w+ in the config must be max \(1 to 20\)/);
  },
);

describe('the bound that a config declares', () => {
  test.each([
    [undefined, DEFAULT_SENDS],
    [{}, DEFAULT_SENDS],
    [{ max: 1 }, { max: 1, withinMs: 60_000 }],
    [
      { max: 20, withinMs: 1_000 },
      { max: 20, withinMs: 1_000 },
    ],
    [{ withinMs: 600_000 }, { max: 5, withinMs: 600_000 }],
  ])('%j is %j', (declared, bound) => {
    expect(sendBoundOf(declared, 'config')).toEqual(bound);
  });
});

describe('of one call without a ledger', () => {
  test('the sends are counted by the call itself, from the first on', async () => {
    const sends = Sends.ofOneCall({ max: 2, withinMs: 60_000 });
    expect(sends.reserved).toBe(false);
    await sends.begin();
    await sends.begin();
    await expectCode(sends.begin(), 'TOOL_UNAVAILABLE');
    // No time that began before the call counts.
    expect(sends.sinceFirstMs).toBeLessThan(10_000);
  });

  test('nothing is sent once it is over', async () => {
    const sends = Sends.ofOneCall({ max: 5, withinMs: 60_000 });
    await sends.begin();
    expect(sends.pauseAfter(FAILURE)).toBeGreaterThan(0);
    sends.close();
    expect(sends.pauseAfter(FAILURE)).toBeUndefined();
  });

  test('a send that never left is the next one', async () => {
    const sends = Sends.ofOneCall({ max: 1, withinMs: 60_000 });
    await sends.begin();
    sends.unsent();
    expect(sends.reserved).toBe(true);
    await sends.begin();
    await expectCode(sends.begin(), 'TOOL_UNAVAILABLE');
  });

  test('failures without a send between them pause for longer each time', () => {
    const sends = Sends.ofOneCall(DEFAULT_SENDS);
    const pauses = [1, 2, 3].map(() => sends.pauseAfter(FAILURE) ?? 0);
    expect(pauses[2]).toBeGreaterThan(pauses[0] ?? 0);
    expect(pauses[2]).toBeGreaterThanOrEqual(1_000);
  });
});

describe('a send that was counted a second ago, and was not made', () => {
  const OVERTAKEN = new CountersignError('EFFECT_UNKNOWN', 'Overtaken.');
  const none = { sends: 1, sendingMs: 0, sinceFirstMs: 0 };

  /** The time goes on by `ms`, by one of the two clocks of this machine. */
  async function later(
    clock: 'performance' | 'Date',
    ms: number,
    body: (pass: () => void) => Promise<void>,
  ): Promise<void> {
    vi.useFakeTimers({ toFake: [clock], now: 1_000_000 });
    try {
      await body(() => vi.advanceTimersByTime(ms));
    } finally {
      vi.useRealTimers();
    }
  }

  test.each(['performance', 'Date'] as const)('is asked for once more, by %s, and once only', async (clock) => {
    await later(clock, 1_001, async (pass) => {
      let asked = 0;
      const counter = { count: async () => none, confirm: async () => void asked++ };
      const sends = new Sends(DEFAULT_SENDS, counter, { ...none, since: instant() });
      await sends.reserve();
      expect(asked).toBe(0);
      pass();
      await sends.reserve();
      await sends.begin();
      expect(asked).toBe(1);
      // One that is counted anew is as good as asked for.
      await sends.begin();
      expect(asked).toBe(1);
    });
  });

  test('is asked for where the answer to counting it took so long', async () => {
    await later('performance', 1_001, async (pass) => {
      const asked: string[] = [];
      const counter = {
        async count() {
          pass();
          return none;
        },
        confirm: async () => void asked.push('again'),
      };
      await new Sends(DEFAULT_SENDS, counter).begin();
      expect(asked).toEqual(['again']);
    });
  });

  test('is not made where it may not be', async () => {
    await later('performance', 1_001, async (pass) => {
      const counter = { count: async () => none, confirm: () => Promise.reject(OVERTAKEN) };
      const sends = new Sends(DEFAULT_SENDS, counter, { ...none, since: instant() });
      pass();
      await expect(sends.begin()).rejects.toBe(OVERTAKEN);
    });
  });

  test('is not made where no answer comes soon enough to rely on: nothing was sent, and it may be tried again', async () => {
    await later('performance', 1_001, async (pass) => {
      let asked = 0;
      const counter = {
        count: async () => none,
        async confirm() {
          asked++;
          pass();
        },
      };
      const sends = new Sends(DEFAULT_SENDS, counter, { ...none, since: instant() });
      pass();
      expect(await expectCode(sends.begin(), 'TOOL_UNAVAILABLE')).toMatchObject({ retryable: true });
      expect(asked).toBe(3);
    });
  });
});

test('the time since the first send goes on by itself', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    vi.advanceTimersByTime(5_000);
    const count = async () => ({ sends: 1, sendingMs: 400, sinceFirstMs: 700 });
    const sends = new Sends({ max: 5, withinMs: 1_000 }, { count, confirm: async () => {} });
    await sends.begin();
    vi.advanceTimersByTime(600);
    expect(sends.sinceFirstMs).toBe(1_300);
    // To the millisecond of the bound it may be sent.
    sends.unsent();
    await sends.reserve();
    vi.advanceTimersByTime(1);
    await expectCode(sends.reserve(), 'TOOL_UNAVAILABLE');
  } finally {
    vi.useRealTimers();
  }
});

test('the error of an action that is not sent any more says why it failed last, and when to come again', () => {
  const sends = Sends.ofOneCall(DEFAULT_SENDS);
  expect(sends.over()).toMatchObject({ message: 'It is not sent again.', retryAfterMs: 10_000, retryable: false });
  expect(sends.over().cause).toBeUndefined();
  const last = putOff(1_500.2);
  expect(sends.over(last)).toMatchObject({
    message: 'Put off. It is not sent again.',
    retryAfterMs: 1_501,
    cause: last,
  });
});
