/** Deciding again under another policy: what changes, what it costs, and what cannot be told. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import { backtest, type BacktestReport } from '../../../src/policy/backtest/index.js';
import { starterFolder, type Policy } from '../../../src/policy/index.js';
import { policyFromText } from '../../../src/testing/index.js';
import { PERMIT_ALL } from '../facts.js';
import { approval, recorded, type Scene } from './recording.js';

const LARGE = (terms: string): string =>
  `@id("large") @reason("large") @approval("${terms}") forbid (principal, action, resource) when { context.rows > 100 };\n`;
const BUDGET = (max: number, more = ''): string =>
  `limits:\n  refunds: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: ${max}, window: 1d${more}}\n`;

function policy(cedar: string, limits?: string): Policy {
  return policyFromText({ 'a.cedar': cedar, ...(limits === undefined ? {} : { 'limits.yaml': limits }) });
}

function tried(records: readonly DecisionRecord[], before: Policy, candidate: Policy): BacktestReport {
  return backtest(records, { candidate, recordedUnder: [before.bundle] });
}

const kinds = ({ changes }: BacktestReport): Record<string, string> =>
  Object.fromEntries(changes.map(({ actionId, kind }) => [actionId, kind]));

const refund = (id: string, at: number, amount: number, more: Partial<Scene> = {}): Scene => ({
  id,
  at,
  input: { amount },
  ...more,
});

describe('approvals are as they were', () => {
  const before = policy(PERMIT_ALL + LARGE('dba'));
  const scenes: readonly Scene[] = [
    { id: 'small', at: 0 },
    { id: 'one-yes', at: 1, preview: { rows: 200 }, approvals: [approval('ann', ['dba'])] },
    { id: 'two-yes', at: 2, preview: { rows: 200 }, approvals: [approval('ann', ['dba']), approval('bob', ['dba'])] },
    { id: 'no', at: 3, preview: { rows: 200 }, approvals: [approval('ann', ['dba'], 'deny')] },
    { id: 'unanswered', at: 4, preview: { rows: 200 } },
  ];
  const records = recorded(before, scenes);

  test('a higher quorum asks those again whose approvals do not suffice', () => {
    const report = tried(records, before, policy(PERMIT_ALL + LARGE('dba, quorum=2')));
    expect(kinds(report)).toEqual({
      'one-yes': 'newly-asked',
      'two-yes': 'other-terms',
      no: 'other-terms',
      unanswered: 'other-terms',
    });
    expect(report.summary).toMatchObject({ redecided: 5, same: 1 });
  });

  test('without the rule nobody is asked, and what people refused is newly allowed', () => {
    const report = tried(records, before, policy(PERMIT_ALL));
    expect(kinds(report)).toEqual({
      'one-yes': 'no-longer-asked',
      'two-yes': 'no-longer-asked',
      no: 'newly-allowed',
      unanswered: 'newly-allowed',
    });
  });

  test('a role that the approver does not have leaves the action waiting', () => {
    const report = tried(records, before, policy(PERMIT_ALL + LARGE('lead')));
    expect(kinds(report)).toEqual({
      'one-yes': 'newly-asked',
      'two-yes': 'newly-asked',
      no: 'newly-askable',
      unanswered: 'other-terms',
    });
  });

  test('a final forbid denies what went ahead, and spares people the others', () => {
    const report = tried(
      records,
      before,
      policy(`${PERMIT_ALL}@id("never") forbid (principal, action, resource) when { context.rows > 100 };`),
    );
    expect(kinds(report)).toEqual({
      'one-yes': 'newly-denied',
      'two-yes': 'newly-denied',
      no: 'no-longer-asked',
      unanswered: 'no-longer-asked',
    });
    expect(report.groups.filter(({ by }) => by === 'rule').map(({ name }) => name)).toContain('never');
  });
});

describe('limits count by the recorded times', () => {
  const before = policy(PERMIT_ALL, BUDGET(500));
  const records = recorded(before, [
    refund('a', 0, 200),
    refund('b', 10, 200),
    refund('failed', 20, 90, { status: 'failed' }),
    refund('c', 30, 80),
    refund('over', 40, 50),
    refund('d', 50, 20),
    refund('other', 60, 300, { agent: { id: 'other-agent' } }),
  ]);

  test('the records are what they are meant to be', () => {
    expect(records.map(({ decision }) => decision?.effect)).toEqual([
      ...Array(4).fill('allow'),
      'deny',
      'allow',
      'allow',
    ]);
  });

  test('under the same policy nothing changes, to the letter', () => {
    const { summary } = tried(records, before, before);
    expect(summary).toMatchObject({ redecided: 7, same: 7, toTheLetter: 7, undecided: 0, exhausted: 0 });
  });

  test('a smaller budget denies what is over it, and what was denied leaves room for the next', () => {
    const report = tried(records, before, policy(PERMIT_ALL, BUDGET(300)));
    // 200, then 200 that do not fit, then 80 and 20 that do.
    expect(kinds(report)).toEqual({ b: 'newly-denied' });
    expect(report.exhausted).toMatchObject([{ actions: 1, asked: { amount: 200 } }]);
  });

  test('a larger budget allows more', () => {
    const report = tried(records, before, policy(PERMIT_ALL, BUDGET(600)));
    expect(kinds(report)).toEqual({ over: 'newly-allowed' });
    expect(report.summary.amounts['newly-allowed']).toEqual({ EUR: 50 });
  });

  test('a budget that was not there counts from the first decision on, and says when it was used up', () => {
    const unlimited = policy(PERMIT_ALL);
    const free = recorded(unlimited, [
      refund('a', 0, 200),
      refund('b', 86_000, 200),
      refund('c', 87_000, 200),
      refund('d', 90_000, 200),
    ]);
    const report = tried(free, unlimited, policy(PERMIT_ALL, BUDGET(300)));
    // Noon and 11:53 are of two days; the second day has room for one.
    expect(kinds(report)).toEqual({ c: 'newly-denied', d: 'newly-denied' });
    expect(report.exhausted).toMatchObject([
      {
        limit: 'refunds',
        key: 'agent=test-agent',
        firstAt: free[2]?.decidedAt,
        actions: 2,
        asked: { amount: 400, unit: 'EUR' },
      },
    ]);
  });

  test('where earlier actions are left out, what was read of the limits stands for them', () => {
    const later = records.slice(3);
    expect(tried(later, before, before).summary).toMatchObject({ same: 4, toTheLetter: 4 });
    // 400 were used before, of which no record is there.
    expect(kinds(tried(later, before, policy(PERMIT_ALL, BUDGET(450))))).toEqual({
      c: 'newly-denied',
      over: 'newly-allowed',
      d: 'newly-denied',
    });
    expect(kinds(tried(later, before, policy(PERMIT_ALL, BUDGET(399))))).toMatchObject({
      c: 'newly-denied',
      d: 'newly-denied',
    });
  });

  test('another window counts by its own slots', () => {
    const counting = (window: string): Policy =>
      policy(PERMIT_ALL, `limits:\n  few: {kind: count, scope: agent, max: 2, window: ${window}}\n`);
    const daily = counting('1d');
    const seen = recorded(
      daily,
      [0, 10, 20, 43_300, 43_400].map((at) => ({ id: `at-${at}`, at })),
    );
    // The third of the day is denied; midnight is 43,200 seconds after noon.
    expect(seen.map(({ decision }) => decision?.effect)).toEqual(['allow', 'allow', 'deny', 'allow', 'allow']);
    expect(kinds(tried(seen, daily, counting('forever')))).toEqual({
      'at-43300': 'newly-denied',
      'at-43400': 'newly-denied',
    });
    const forever = counting('forever');
    const all = recorded(
      forever,
      [0, 10, 43_300, 43_400].map((at) => ({ id: `at-${at}`, at })),
    );
    expect(kinds(tried(all, forever, daily))).toEqual({ 'at-43300': 'newly-allowed', 'at-43400': 'newly-allowed' });
  });

  test('a limit that asks people asks them, and one that queues lets wait', () => {
    expect(kinds(tried(records, before, policy(PERMIT_ALL, BUDGET(500, ', atLimit: approve by lead'))))).toEqual({
      over: 'newly-askable',
    });
    const leased = policy(
      PERMIT_ALL,
      'limits:\n  once: {kind: concurrency, scope: tenant, max: 1, atLimit: queue for 1m}\n',
    );
    const overlapping = records.map((record) => ({ ...record, endedAt: '2025-01-01T12:00:10.200Z', holds: [] }));
    expect(kinds(tried(overlapping.slice(0, 2), before, leased))).toEqual({ b: 'newly-queued' });
  });
});

describe('what cannot be decided again', () => {
  const before = policy(PERMIT_ALL, BUDGET(500));
  const [record] = recorded(before, [refund('a', 0, 200)]) as [DecisionRecord];
  const why = (one: DecisionRecord, candidate: Policy): readonly string[] =>
    tried([one], before, candidate).undecided.map((undecided) => undecided.why);

  test('is a record without its proposal, where a limit reads the input', () => {
    const { proposal: _proposal, ...without } = record;
    expect(why(without, before)).toEqual(['a limit reads the input, and the proposal was not kept']);
    expect(tried([without], before, policy(PERMIT_ALL)).summary).toMatchObject({ undecided: 0, redecided: 1 });
  });

  test('is a record without what the policy reads and somebody scrubbed', () => {
    const scrubbed = { ...record, scrubbed: ['/proposal/input/amount', '/facts/agent/owner'] };
    expect(why(scrubbed, before)).toEqual(['the policy may read amount, which was scrubbed (/proposal/input/amount)']);
    expect(tried([scrubbed], before, policy(PERMIT_ALL)).summary).toMatchObject({ undecided: 0 });
    const owners = policy(
      '@id("owned") permit (principal, action, resource) when { principal has owner && principal.owner == "eve" };',
    );
    expect(why(scrubbed, owners)).toEqual(['the policy may read owner, which was scrubbed (/facts/agent/owner)']);
  });

  test('is an action that ended before policy had decided', () => {
    const { decision: _decision, ...without } = record;
    const unsupported = {
      ...without,
      status: 'denied' as const,
      error: { code: 'CONSTRAINT_UNSUPPORTED', message: 'no' } as const,
    };
    expect(why(unsupported, before)).toEqual([
      'it ended with CONSTRAINT_UNSUPPORTED before policy had decided, because of what no record holds',
    ]);
    const { facts: _facts, ...malformed } = unsupported;
    expect(tried([malformed], before, before).summary).toMatchObject({ beforePolicy: 1, redecided: 0, undecided: 0 });
  });

  test('an input that a limit cannot read is denied then and now', () => {
    const { decision: _decision, ...rest } = record;
    const error = { code: 'POLICY_ERROR', message: 'limit:refunds: its amount cannot be evaluated' } as const;
    const broken = { ...rest, proposal: { ...rest.proposal!, input: {} }, status: 'denied' as const, holds: [], error };
    expect(tried([broken], before, before).summary).toMatchObject({ same: 1 });
    expect(kinds(tried([broken], before, policy(PERMIT_ALL)))).toEqual({ a: 'newly-allowed' });
  });
});

test('a schema that declares more of the input gets it from the proposal, and what the tool made of it goes first', () => {
  const schema = readFileSync(join(starterFolder(), 'schema.cedarschema'), 'utf8');
  const declaring = (body: string): string =>
    schema.replace('type Facts = {', `type Input = { body?: { ${body} } };\n  type Facts = {\n    input?: Input,`);
  const rule = (condition: string): string =>
    `${PERMIT_ALL}@id("bounds") forbid (principal, action, resource) when { context has input.body && ${condition} };`;
  const before = policyFromText({ 'schema.cedarschema': declaring('amount?: Long'), 'a.cedar': PERMIT_ALL });
  const records = recorded(before, [
    { id: 'dollars', at: 0, input: { body: { amount: 5, currency: 'USD' } } },
    { id: 'euros', at: 1, input: { body: { amount: 5, currency: 'EUR' } } },
  ]).map((record) => ({ ...record, facts: { ...record.facts!, input: { body: { amount: 7 } } } }));
  const more = declaring('amount?: Long, currency?: String');
  const condition =
    'context.input.body has currency && context.input.body.currency == "USD" && context.input.body has amount && context.input.body.amount == 7';
  const candidate = policyFromText({ 'schema.cedarschema': more, 'a.cedar': rule(condition) });
  expect(kinds(tried(records, before, candidate))).toEqual({ dollars: 'newly-denied' });
  const without = records.map(({ proposal: _proposal, ...record }) => record);
  expect(tried(without, before, candidate).summary).toMatchObject({ undecided: 2, redecided: 0 });
});

test('a policy whose text is not known any more leaves its limits to the records', () => {
  const before = policy(PERMIT_ALL, BUDGET(500));
  const records = recorded(before, [refund('a', 0, 200), refund('b', 1, 200)]);
  expect(
    backtest(records, { candidate: policy(PERMIT_ALL, BUDGET(300)) }).changes.map(({ actionId }) => actionId),
  ).toEqual(['b']);
});
