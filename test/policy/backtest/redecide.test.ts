/** What is read of a record to decide it again. */
import { describe, expect, test } from 'vitest';
import {
  authorityOf,
  decisionOf,
  isOfPolicy,
  overlaid,
  sameFile,
  type DecidedRecord,
} from '../../../src/policy/backtest/redecide.js';
import { factsOf } from '../facts.js';
import { DECISION, DIGEST, recordOf } from './records.js';

describe('what is decided again', () => {
  test('was denied by the error where policy could not decide, and is unknown where it never got to policy', () => {
    const policy = { digest: DIGEST };
    expect(decisionOf(recordOf(), policy)).toBe(DECISION);
    const { decision: _decision, ...undecided } = recordOf();
    expect(decisionOf({ ...undecided, error: { code: 'POLICY_ERROR', message: 'm' } }, policy)).toEqual({
      ...DECISION,
      effect: 'deny',
      code: 'POLICY_ERROR',
      reason: 'm',
      policies: [],
    });
    expect(decisionOf({ ...undecided, error: { code: 'FROZEN', message: 'm' } }, policy)).toBeUndefined();
    expect(decisionOf(undecided, policy)).toBeUndefined();
    const { facts: _facts, ...malformed } = { ...undecided, error: { code: 'POLICY_ERROR', message: 'm' } as const };
    expect(decisionOf(malformed, policy)).toBeUndefined();
  });

  test('reads of an input what the tool made of it, and beneath it what was proposed', () => {
    expect(overlaid({ a: { b: 1, c: 2 }, d: 3 }, { a: { b: 9 }, e: 4 })).toEqual({ a: { b: 9, c: 2 }, d: 3, e: 4 });
    expect(overlaid({ a: { b: 1 } }, { a: null })).toEqual({ a: null });
    expect(overlaid({ a: [1] }, { a: { 0: 2 } })).toEqual({ a: { 0: 2 } });
    expect(overlaid({ a: { b: 1 } }, { a: [2] })).toEqual({ a: [2] });
    expect(overlaid({ a: 'x' }, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
    expect(overlaid({}, { constructor: { b: 1 } })).toEqual({ constructor: { b: 1 } });
  });

  test('has the caps of delegations that its figures tell of', () => {
    const figure = (limit: string, more: object) => ({
      limit,
      key: '',
      kind: 'budget',
      max: 5,
      used: 0,
      held: 0,
      left: 5,
      fits: true,
      text: '',
      ...more,
    });
    const limits = [
      figure('delegation:j1', { kind: 'count', unit: 'actions', max: 3 }),
      figure('delegation:j1:EUR', { unit: 'EUR', max: 50 }),
      figure('delegation:j1:USD', { unit: 'USD', max: 60 }),
      figure('delegation:j2:EUR', { unit: 'EUR', max: 70 }),
      figure('money', { unit: 'EUR' }),
      figure('standing:s:EUR', { unit: 'EUR' }),
    ];
    const above = [{ ...factsOf().agent, id: 'root' }];
    const record = recordOf({ facts: { ...factsOf(), limits: limits as never, above } }) as DecidedRecord;
    expect(authorityOf(record)).toEqual({
      credentials: [],
      caps: [
        { jti: 'j1', actions: 3, amounts: { EUR: 50, USD: 60 } },
        { jti: 'j2', amounts: { EUR: 70 } },
      ],
      above,
    });
    expect(authorityOf(recordOf() as DecidedRecord)).toEqual({ credentials: [], caps: [], above: [] });
    expect(limits.map(isOfPolicy)).toEqual([true, true, true, true, true, false]);
  });

  test('is under the same text of a file, or under none in both', () => {
    const files = (text?: string) => ({ files: text === undefined ? {} : { f: text } });
    expect([
      sameFile(files('a'), files('a'), 'f'),
      sameFile(files(), files(), 'f'),
      sameFile(files('a'), files(), 'f'),
      sameFile(files('a'), files('b'), 'f'),
    ]).toEqual([true, true, false, false]);
  });
});
