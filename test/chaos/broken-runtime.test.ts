/** The judge, tested with runtimes that are broken on purpose: each planted defect really runs, and each must be caught. */
import { expect, test } from 'vitest';
import type { Fault } from '../../chaos/finding.js';
import { passes } from '../../chaos/judge.js';
import { doubleEffect } from '../../chaos/defects/double-effect.js';
import { forgottenOutcome } from '../../chaos/defects/forgotten-outcome.js';
import { grantCheckOff } from '../../chaos/defects/grant-check-off.js';
import { lostHold } from '../../chaos/defects/lost-hold.js';
import { sentAgain } from '../../chaos/defects/sent-again.js';
import { successWithoutVerification } from '../../chaos/defects/success-without-verification.js';
import { unsignedReceipt } from '../../chaos/defects/unsigned-receipt.js';
import { smallRun, type SmallRun } from './small-run.js';

/** Two agents, one action after the other: what the first were given back, the later ones could spend once more. */
const PAYMENTS = { actions: 8, agents: 2, weights: { pay: 1 } } as const;
const REFUNDS = { actions: 3, weights: { refund: 1 } } as const;

interface Planted extends SmallRun {
  readonly defect: string;
  /** What must be found. */
  readonly caught: Fault | 'receipts';
}

const PLANTED: readonly Planted[] = [
  {
    defect: 'grant-check-off',
    plant: grantCheckOff,
    caught: 'unexplained',
    actions: 2,
    weights: { order: 1 },
    forgeries: 3,
  },
  { defect: 'double-effect', plant: doubleEffect, caught: 'duplicated', actions: 2, weights: { pay: 1 } },
  { defect: 'lost-hold', plant: lostHold, caught: 'overspent', ...PAYMENTS },
  { defect: 'unsigned-receipt', plant: unsignedReceipt, caught: 'receipts', actions: 2, weights: { pay: 1, order: 1 } },
  {
    defect: 'success-without-verification',
    plant: successWithoutVerification,
    caught: 'lost',
    actions: 2,
    weights: { pay: 1 },
    always: 'lie-not-done',
  },
  { defect: 'sent-again', plant: sentAgain, caught: 'duplicated', ...REFUNDS, always: 'lost-reply' },
  { defect: 'forgotten-outcome', plant: forgottenOutcome, caught: 'lost', actions: 2, weights: { order: 1 } },
];

test.each(PLANTED)('$defect is caught: $caught', async ({ defect: _defect, caught, ...small }) => {
  const { verdict } = await smallRun(small);
  expect(verdict.findings.map(({ fault }) => fault)).toContain(caught);
  expect(caught === 'receipts' ? !verdict.receiptsValid : verdict[caught] > 0).toBe(true);
  expect(passes(verdict)).toBe(false);
});

const SOUND: readonly (SmallRun & { readonly what: string })[] = [
  { what: 'payments within a budget, and forged grants', ...PAYMENTS, forgeries: 3 },
  { what: 'a service that lies', actions: 2, weights: { pay: 1 }, always: 'lie-not-done' },
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
