/** The limits of a policy in shadow: which of them count alike, and the others as they would have counted. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/action/decision-record.js';
import type { LimitFigure } from '../../src/action/limits.js';
import { resolveLimits, type Policy } from '../../src/policy/index.js';
import { figuresOf } from '../../src/policy/limits/index.js';
import { ask, type DecidedRecord } from '../../src/policy/backtest/redecide.js';
import { microsecondsOf } from '../../src/policy/backtest/windows.js';
import { ownLimits } from '../../src/policy/shadow/own-limits.js';
import { ShadowCounters } from '../../src/policy/shadow/shadow-counters.js';
import { policyFromText } from '../../src/testing/index.js';
import { recorded, type Scene } from './backtest/recording.js';

const PERMIT = '@id("all") permit (principal, action, resource);';
const BUDGET = 'kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 100, window: 1h';

function policy(limits = ''): Policy {
  return policyFromText({ 'a.cedar': PERMIT, ...(limits === '' ? {} : { 'limits.yaml': `limits:\n${limits}` }) });
}

test('limits count alike where they differ in their size alone', () => {
  const active = policy(`  money: {${BUDGET}}
  burst: {kind: rate, scope: agent, max: 10, per: 1m}
  few: {kind: count, scope: agent, max: 5, window: 1d}
  one: {kind: concurrency, scope: tool, max: 1}
`);
  const smaller = `  money: {${BUDGET.replace('max: 100', 'max: 50')}, atLimit: approve by dba}\n`;
  const own = (limits: string) => [...ownLimits(active, policy(limits))];
  expect(own(smaller)).toEqual([]);
  expect(own(smaller.replace('1h', '1d'))).toEqual(['money']);
  expect(own(smaller.replace('input.amount', 'input.amount * 2'))).toEqual(['money']);
  expect(own(smaller.replace('scope: agent', 'scope: tool'))).toEqual(['money']);
  expect(own('  burst: {kind: rate, scope: agent, max: 20, per: 1m}\n')).toEqual(['burst']);
  expect(
    own('  few: {kind: count, scope: agent, max: 1, window: 1d}\n  one: {kind: concurrency, scope: tool, max: 9}\n'),
  ).toEqual([]);
  expect(own('  another: {kind: count, scope: tenant, max: 1, window: 1d}\n')).toEqual(['another']);
  expect([...ownLimits(policy(), policy(smaller))]).toEqual(['money']);
  expect([...ownLimits(active, policy())]).toEqual([]);
});

describe('limits that only the policy in shadow has', () => {
  const LIMITS = `  money: {${BUDGET}}
  burst: {kind: rate, scope: agent, max: 3, per: 30m}
  few: {kind: count, scope: [agent, target], max: 4, window: 1d}
`;
  const scenes: readonly Scene[] = [
    { id: 'a', at: 0, input: { amount: 60 } },
    { id: 'b', at: 10, input: { amount: 50 } },
    { id: 'c', at: 20, input: { amount: 30 }, status: 'failed' },
    { id: 'd', at: 30, input: { amount: 40 }, status: 'mismatch' },
    { id: 'e', at: 40, input: { amount: 1 } },
    { id: 'f', at: 700, input: { amount: 1 } },
    { id: 'g', at: 3_900, input: { amount: 90 }, agent: { id: 'another' } },
    { id: 'h', at: 7_600, input: { amount: 90 } },
  ];

  test('count what would have counted, had they been in force: also what they themselves would have stopped', () => {
    const candidate = policy(LIMITS);
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const inForce = recorded(candidate, scenes);
    expect(inForce.map(({ status }) => status)).toContain('denied');
    for (const [index, record] of recorded(policy(), scenes).entries()) {
      expect([record.actionId, untimed(figures(candidate, counters, record))]).toEqual([
        record.actionId,
        untimed(inForce[index]?.facts?.limits ?? []),
      ]);
      counters.add(record);
    }
  });

  test('count an action that is under way until its record says how it ended, and each action once', () => {
    const candidate = policy(LIMITS);
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const records = recorded(policy(), scenes);
    const [first, , failed, , next] = records as [
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
      DecisionRecord,
    ];
    const left = () => figures(candidate, counters, next).find(({ limit }) => limit === 'money')?.left;
    hold(candidate, counters, first);
    hold(candidate, counters, failed);
    expect(left()).toBe(10);
    counters.add(failed);
    expect(left()).toBe(40);
    for (let again = 1; again <= 3; again++) {
      counters.add(first);
      hold(candidate, counters, first);
    }
    expect(left()).toBe(40);
    expect(counters.size).toBe(2);
  });

  test('are breakers that open after bad ends', () => {
    const candidate = policy(
      '  failing: {kind: breaker, scope: tool, window: 1h, minimum: 3, ratio: 0.5, open: 10m}\n',
    );
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const states = recorded(policy(), scenes).map((record) => {
      const [figure] = figures(candidate, counters, record);
      counters.add(record);
      return figure?.state;
    });
    expect(states).toEqual(['closed', 'closed', 'closed', 'closed', 'open', 'half_open', 'closed', 'closed']);
  });

  test('of which a record holds too little are left alone', () => {
    const candidate = policy(LIMITS.replace('input.amount', 'input.nothing.at.all'));
    const counters = new ShadowCounters(candidate, ownLimits(policy(), candidate));
    const [{ facts: _facts, ...first }, second] = recorded(policy(), scenes) as [DecisionRecord, DecisionRecord];
    counters.add(first);
    counters.add(second);
    expect(counters.size).toBe(2);
  });
});

/** What nobody held is counted from when it was decided, and not from when it was held a moment later. */
function untimed(limits: readonly LimitFigure[]): readonly object[] {
  return limits.map(({ retryAfterMs: _retry, ...figure }) => figure);
}

function asked(candidate: Policy, record: DecisionRecord) {
  const { facts, resolved } = ask(candidate, record as DecidedRecord, false) as Extract<
    ReturnType<typeof ask>,
    { kind: 'asked' }
  >;
  expect(resolved).toEqual(resolveLimits(candidate, facts, { input: record.proposal?.input ?? {} }));
  return resolved.limits;
}

function figures(candidate: Policy, counters: ShadowCounters, record: DecisionRecord) {
  const limits = asked(candidate, record);
  const at = microsecondsOf(record.decidedAt);
  return figuresOf(
    limits,
    limits.map(({ demand }) => counters.read(record.tenant, record.actionId, demand, at)),
  );
}

function hold(candidate: Policy, counters: ShadowCounters, record: DecisionRecord): void {
  const demands = asked(candidate, record).map(({ demand }) => demand);
  counters.hold(record.tenant, record.actionId, demands, microsecondsOf(record.decidedAt));
}
