/** Whose an action is. */
import { describe, expect, test } from 'vitest';
import { proposerOf } from '../../src/action/outcome.js';
import { isProposedUnder } from '../../src/action/principal.js';
import { factsOf } from '../policy/facts.js';

describe("an action is an agent's own", () => {
  test.each([
    ['by itself', 'bot'],
    ['by one that acts under it', 'bot/mail'],
    ['by one that acts under such a one', 'bot/mail/sorter'],
  ])('where it was proposed %s', (_, proposer) => {
    expect(isProposedUnder('bot', proposer)).toBe(true);
  });

  test.each([
    ['whose name begins alike', 'bot2'],
    ['above it', 'bo'],
    ['that acts under another', 'other/bot'],
    ['that acts under another of that name', 'other/bot/mail'],
  ])('and not where it was proposed by one %s', (_, proposer) => {
    expect(isProposedUnder('bot', proposer)).toBe(false);
  });
});

test('the proposer is the agent of the facts, else whoever was verified before there were any', () => {
  expect(proposerOf({ facts: factsOf({ agent: { id: 'bot' } }), agent: 'other' })).toBe('bot');
  expect(proposerOf({ agent: 'other' })).toBe('other');
  expect(proposerOf({})).toBeUndefined();
});
