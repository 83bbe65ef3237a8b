/** The judge, tested with runtimes that are broken on purpose: each planted defect really runs, and each must be caught. */
import { expect, test } from 'vitest';
import type { Fault } from '../../chaos/finding.js';
import { passes } from '../../chaos/judge.js';
import { smallRun, type SmallRun } from './small-run.js';

const PAYMENTS = { actions: 12, weights: { pay: 1 } } as const;
const REFUNDS = { actions: 6, weights: { refund: 1 } } as const;

interface Planted extends SmallRun {
  readonly defect: string;
  /** What must be found. */
  readonly caught: Fault | 'receipts';
}

const PLANTED: readonly Planted[] = [
  { defect: 'grant-check-off', caught: 'unexplained', actions: 2, weights: { order: 1 }, forgeries: 3 },
  { defect: 'double-effect', caught: 'duplicated', actions: 4, weights: { pay: 1 } },
  // The second round spends what the first was given back.
  { defect: 'lost-hold', caught: 'overspent', ...PAYMENTS, actions: 40 },
  { defect: 'unsigned-receipt', caught: 'receipts', actions: 3, weights: { pay: 1, order: 1 } },
  { defect: 'success-without-verification', caught: 'lost', actions: 4, weights: { pay: 1 }, always: 'lie-not-done' },
  { defect: 'sent-again', caught: 'duplicated', ...REFUNDS, always: 'lost-reply' },
  { defect: 'forgotten-outcome', caught: 'lost', actions: 3, weights: { order: 1 } },
];

test.each(PLANTED)('$defect is caught: $caught', async ({ caught, ...small }) => {
  const { verdict } = await smallRun(small);
  expect(verdict.findings.map(({ fault }) => fault)).toContain(caught);
  expect(caught === 'receipts' ? !verdict.receiptsValid : verdict[caught] > 0).toBe(true);
  expect(passes(verdict)).toBe(false);
});

const SOUND: readonly (SmallRun & { readonly what: string })[] = [
  { what: 'payments within a budget, and forged grants', ...PAYMENTS, forgeries: 3 },
  { what: 'a service that lies', actions: 4, weights: { pay: 1 }, always: 'lie-not-done' },
  { what: 'replies that are lost', ...REFUNDS, always: 'lost-reply' },
];

test.each(SOUND)('the same without a defect is found sound: $what', async ({ what: _what, ...small }) => {
  const { verdict, forged } = await smallRun(small);
  expect(verdict.findings).toEqual([]);
  expect(passes(verdict)).toBe(true);
  expect(verdict.proposed).toBe(small.actions);
  expect(verdict.succeeded > 0).toBe(small.always !== 'lie-not-done');
  expect(verdict.mismatch > 0).toBe(small.always === 'lie-not-done');
  expect(forged).toHaveLength(small.forgeries ?? 0);
  for (const answer of forged) expect(answer).toMatch(/grant/i);
});
