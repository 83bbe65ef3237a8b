/** A scene whose result is not as expected is reported, and makes the demo end with exit code 1. */
import { describe, expect, test } from 'vitest';
import {
  StopDemo,
  exitCode,
  play,
  verdict,
  type Audience,
  type Played,
  type Result,
  type Scene,
} from '../../examples/demo/play.js';

function scene(title: string, played: () => Played): Scene<undefined> {
  return { title, actionId: `${title}-1`, story: 'once upon a time', play: async () => played() };
}

const good = scene('good', () => ({
  actionId: 'good-1',
  expected: { status: 'success' },
  seen: { status: 'success' },
}));

class Record implements Audience {
  readonly begun: string[] = [];
  readonly ended: Result[] = [];
  sceneBegins({ letter, title }: { letter: string; title: string }): void {
    this.begun.push(`${letter} ${title}`);
  }
  sceneEnds(result: Result): void {
    this.ended.push(result);
  }
}

const RECEIPTS_HOLD = { ok: true };

describe('scenes that are as expected', () => {
  test('end with exit code 0 and the line that says so', async () => {
    const audience = new Record();
    const results = await play([good, good], undefined, audience);
    expect(verdict(results)).toBe('demo: 2 scenes, 2 as expected');
    expect(exitCode(results, RECEIPTS_HOLD)).toBe(0);
    expect(audience.begun).toEqual(['a good', 'b good']);
    expect(audience.ended).toEqual(results);
  });

  test('do not make up for receipts that do not verify', async () => {
    const results = await play([good], undefined, new Record());
    expect(exitCode(results, { ok: false })).toBe(1);
  });

  test('are compared by value, whatever the order of keys', async () => {
    const nested = scene('nested', () => ({
      expected: { trail: { who: 'bot', roles: ['a', 'b'] } },
      seen: { trail: { roles: ['a', 'b'], who: 'bot' } },
    }));
    expect(exitCode(await play([nested], undefined, new Record()), RECEIPTS_HOLD)).toBe(0);
  });
});

describe('a scene that is not as expected', () => {
  const cases: [hazard: string, played: () => Played, difference: string][] = [
    [
      'an effect that should not have happened',
      () => ({ expected: { status: 'denied', users: 3 }, seen: { status: 'denied', users: 0 } }),
      'users: expected 3, seen 0',
    ],
    [
      'a point that was expected and never looked at',
      () => ({ expected: { status: 'denied', users: 3 }, seen: { status: 'denied' } }),
      'users: expected 3, seen nothing',
    ],
    [
      'a point that was looked at and never expected',
      () => ({ expected: { status: 'denied' }, seen: { status: 'denied', users: 0 } }),
      'users: expected nothing, seen 0',
    ],
    [
      'a number that comes as a text',
      () => ({ expected: { users: 3 }, seen: { users: '3' } }),
      'users: expected 3, seen "3"',
    ],
    ['a check of nothing', () => ({ expected: {}, seen: {} }), 'the scene checked nothing'],
    [
      'an error in the middle',
      () => {
        throw new Error('the worker is gone');
      },
      'the scene failed with an error: the worker is gone',
    ],
  ];

  test.each(cases)('%s gives exit code 1, and the scenes after it are played', async (_hazard, played, difference) => {
    const results = await play([good, scene('bad', played), good], undefined, new Record());
    expect(results.map(({ differences }) => differences)).toEqual([[], [difference], []]);
    expect(verdict(results)).toBe('demo: 3 scenes, 2 as expected');
    expect(exitCode(results, RECEIPTS_HOLD)).toBe(1);
  });

  test('a viewer who leaves in the middle ends the play, and is no scene that failed', async () => {
    const leaving = scene('leaving', () => {
      throw new StopDemo('the viewer left');
    });
    const audience = new Record();
    await expect(play([good, leaving, good], undefined, audience)).rejects.toBeInstanceOf(StopDemo);
    expect(audience.begun).toEqual(['a good', 'b leaving']);
  });

  test('no scenes at all are no success', async () => {
    const results = await play([], undefined, new Record());
    expect(exitCode(results, RECEIPTS_HOLD)).toBe(1);
  });
});
