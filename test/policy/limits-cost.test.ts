/** What limits cost: no input of an agent makes their evaluation take long. */
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import { CountersignError } from '../../src/action/errors.js';
import type { JsonObject } from '../../src/action/json.js';
import { resolveLimits, type Policy } from '../../src/policy/index.js';
import { factsOf } from './facts.js';
import { limited } from './limits-example.js';

/** Returns the value, or the refusal that was thrown. Any other error fails the test. */
function attempt<Value>(run: () => Value): Value | CountersignError {
  try {
    return run();
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'POLICY_ERROR') return error;
    throw error;
  }
}

function refusal(policy: Policy, facts: Facts, input: JsonObject): CountersignError {
  const error = attempt(() => resolveLimits(policy, facts, { input }));
  if (error instanceof CountersignError) return error;
  throw new Error('it was accepted');
}

describe('no input of an agent makes evaluation costly', () => {
  const big = 'a'.repeat(100_000);
  /** Without the limits these take minutes or never end; with them a quarter of a second, on an idle machine. Milliseconds. */
  const FAR_FROM_EVER = 20_000;
  const timed = (policy: Policy, input: JsonObject): number => {
    const started = performance.now();
    attempt(() => resolveLimits(policy, factsOf(), { input }));
    return performance.now() - started;
  };
  const when = (expression: string): Policy =>
    limited(`one:\n  kind: depth\n  max: 9\n  when: ${JSON.stringify(expression)}`);

  test.each<[string, string, JsonObject]>([
    ['a text of 100 KB, searched', 'input.text.contains("needle") || input.text.endsWith("needle")', { text: big }],
    [
      'a text of 100 KB, matched by a pattern that backtracks elsewhere',
      'input.text.matches("^(a+)+$")',
      { text: `${big}!` },
    ],
    ['a text of 16 KB, matched', 'input.text.matches("^(([a-z])+.)+[A-Z]([a-z])+$")', { text: 'a'.repeat(16_000) }],
    ['fifty thousand items, each looked at', 'input.items.all(i, i != "x")', { items: Array(50_000).fill('y') }],
    [
      'items looked for among themselves',
      'input.items.all(i, i in input.items)',
      { items: Array.from({ length: 20_000 }, (_, i) => `${i}`) },
    ],
    ['items matched', 'input.items.exists(i, i.matches("(x+x+)+y"))', { items: Array(500).fill('x'.repeat(200)) }],
    [
      'lists compared for each item',
      'input.items.all(i, input.items == input.items)',
      { items: Array(20_000).fill(1) },
    ],
    ['a text that doubles', 'size([input.text].map(x, x + x + x + x)) > 0', { text: big }],
    [
      'a map of fifty thousand keys',
      'input.map.all(k, k != "x")',
      { map: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, i])) },
    ],
  ])('%s', (_, expression, input) => {
    const policy = when(expression);
    timed(policy, { text: '', items: [], map: {} });
    expect(timed(policy, input)).toBeLessThan(FAR_FROM_EVER);
  });

  test('a pattern is not matched against a text of 100 KB: that denies', () => {
    expect(refusal(when('input.text.matches("^a*$")'), factsOf(), { text: big }).message).toMatch(
      /too costly: a text of more than 16384 characters/,
    );
  });

  test('all limits together may cost as much as one', () => {
    const many = limited(
      Array.from(
        { length: 50 },
        (_, i) => `l${i}: {kind: depth, max: 9, when: 'input.items.all(i, i != ${i + 2})'}`,
      ).join('\n'),
    );
    const items = Array<number>(5000).fill(1);
    expect(refusal(many, factsOf(), { items }).message).toMatch(/too costly: more than (100000 steps|250 ms)/);
    expect(timed(many, { items })).toBeLessThan(FAR_FROM_EVER);
    // The next action starts from zero.
    expect(resolveLimits(many, factsOf(), { input: { items: [1] } }).depths).toHaveLength(50);
  });
});
