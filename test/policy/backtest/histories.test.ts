/** What earlier actions come to in a backtest: as it was, and as it would have been, where the candidate lets other actions happen. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import { digestText } from '../../../src/action/json.js';
import { backtest } from '../../../src/policy/backtest/index.js';
import { Histories } from '../../../src/policy/backtest/histories.js';
import type { DecidedRecord } from '../../../src/policy/backtest/redecide.js';
import { evaluate, type Policy } from '../../../src/policy/index.js';
import { policyFromText } from '../../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from '../facts.js';
import { approval } from './recording.js';

const DIGEST = digestText('x');
const TESTED = '  tested: { of: { tool: ci }, scope: tenant, within: 1d }\n';
const policyOf = (history: string, rules = ''): Policy =>
  policyFromText({
    'a.cedar': PERMIT_ALL + rules,
    ...(history === '' ? {} : { 'history.yaml': `history:\n${history}` }),
  });

function recordOf(actionId: string, tool: string, second: number, more: Partial<DecisionRecord> = {}): DecidedRecord {
  const time = (after: number) => `2025-01-01T12:00:${String(second + after).padStart(2, '0')}.000Z`;
  return {
    v: 1,
    tenant: 'acme',
    actionId,
    proposalDigest: DIGEST,
    proposal: { actionId, tool, input: {} },
    facts: factsOf({ tool: { name: tool }, now: time(0) }),
    approvals: [],
    status: 'success',
    attempted: true,
    holds: [],
    decidedAt: time(0),
    endedAt: time(1),
    receipt: { seq: second + 1, hash: DIGEST },
    ...more,
  };
}
const figure = (done: number, possible = done, underWay = 0, fact = 'tested') => ({
  fact,
  done,
  underWay,
  possible,
  text: '',
});
const withHistory = (record: DecidedRecord, ...history: ReturnType<typeof figure>[]): DecidedRecord => ({
  ...record,
  facts: { ...record.facts, history },
});

describe('what the candidate reads', () => {
  let candidate: Policy;
  beforeAll(() => {
    candidate = policyOf(TESTED);
  });
  const AT = Date.parse('2025-01-01T12:00:30.000Z') * 1000;
  const read = (histories: Histories, record: DecidedRecord, recorded?: Policy) =>
    histories
      .read(record, candidate, recorded, AT)
      ?.readings.map(({ done, underWay, possible }) => [done, underWay, possible]);
  /** The action goes through, then ends, in both worlds as is said. */
  function take(
    histories: Histories,
    record: DecidedRecord,
    course: { happens: boolean; newly?: boolean; recorded?: Policy | undefined; ends?: boolean },
  ): void {
    const { happens, newly = false, recorded = candidate, ends = true } = course;
    histories.plan(record, { candidate, recorded, happens, newly });
    histories.place(record, AT - 1000);
    if (ends) histories.settle(record);
  }
  const asks = () => recordOf('asks', 'deploy', 20);

  test('is nothing where it declares no history', () => {
    expect(new Histories().read(asks(), policyOf(''), candidate, AT)).toBeUndefined();
  });

  test('is what happens under it, where nothing was recorded, or the policy then is not known', () => {
    const histories = new Histories();
    take(histories, recordOf('a', 'ci', 1), { happens: true });
    take(histories, recordOf('b', 'ci', 2), { happens: false });
    take(histories, recordOf('c', 'other', 3), { happens: true });
    take(histories, recordOf('d', 'ci', 4), { happens: true, ends: false });
    expect(read(histories, asks())).toEqual([[1, 1, 2]]);
    expect(read(histories, asks(), candidate)).toEqual([[1, 1, 2]]);
    expect(read(histories, withHistory(asks(), figure(9)))).toEqual([[1, 1, 2]]);
  });

  test('is what was read then, changed by what differs', () => {
    const histories = new Histories();
    expect(read(histories, withHistory(asks(), figure(5, 7, 1)), candidate)).toEqual([[5, 1, 7]]);
    // It happened then, and does not under the candidate.
    take(histories, recordOf('a', 'ci', 1), { happens: false });
    expect(read(histories, withHistory(asks(), figure(5, 7, 1)), candidate)).toEqual([[4, 1, 6]]);
    expect(read(histories, withHistory(asks(), figure(0)), candidate)).toEqual([[0, 0, 0]]);
    // It did not happen then, and does under the candidate: it is taken to succeed.
    take(histories, recordOf('b', 'ci', 2, { attempted: false, status: 'denied' }), { happens: true, newly: true });
    expect(read(histories, withHistory(asks(), figure(5, 7, 1)), candidate)).toEqual([[5, 1, 7]]);
    take(histories, recordOf('c', 'ci', 3, { attempted: false, status: 'denied' }), { happens: true });
    expect(read(histories, withHistory(asks(), figure(100)), candidate)).toEqual([[100, 0, 100]]);
    expect(read(histories, withHistory(asks(), figure(5)), candidate)).toEqual([[6, 0, 6]]);
  });

  test('is as it ended, in both worlds: what failed then fails, unless it is newly allowed', () => {
    const histories = new Histories();
    take(histories, recordOf('a', 'ci', 1, { status: 'failed' }), { happens: true });
    expect(read(histories, asks())).toEqual([[0, 0, 0]]);
    take(histories, recordOf('b', 'ci', 2, { status: 'failed' }), { happens: true, newly: true });
    expect(read(histories, asks())).toEqual([[1, 0, 1]]);
    take(histories, recordOf('c', 'ci', 3, { status: 'unknown', attempted: false, holds: [{} as never] }), {
      happens: true,
    });
    expect(read(histories, asks())).toEqual([[1, 0, 2]]);
  });

  test('is counted anew, where the fact was another then; how long it waits makes it no other', () => {
    const histories = new Histories();
    const record = withHistory(asks(), figure(5));
    expect(read(histories, record, policyOf(TESTED.replace('within: 1d', 'within: 2d')))).toEqual([[0, 0, 0]]);
    expect(read(histories, record, policyOf(TESTED.replace('tested', 'other')))).toEqual([[0, 0, 0]]);
    expect(read(histories, record, policyOf(TESTED.replace('within: 1d', 'within: 1d, wait: 5m')))).toEqual([
      [5, 0, 5],
    ]);
    expect(read(histories, record, policyOf(`\n${TESTED}`))).toEqual([[5, 0, 5]]);
  });

  test('is told apart by what the proposals say', () => {
    const same = policyOf(TESTED.replace('within', 'same: input.commit, within'));
    const of = (id: string, tool: string, second: number, commit: string) =>
      recordOf(id, tool, second, { proposal: { actionId: id, tool, input: { commit } } });
    const histories = new Histories();
    for (const record of [of('a', 'ci', 1, 'x'), of('b', 'ci', 2, 'y')]) {
      histories.plan(record, { candidate: same, recorded: undefined, happens: true, newly: false });
      histories.place(record, AT - 1000);
      histories.settle(record);
    }
    const found = (commit: string) =>
      histories.read(of('asks', 'deploy', 20, commit), same, undefined, AT)?.readings.map(({ done }) => done);
    expect([found('x'), found('y'), found('z')]).toEqual([[1], [1], [0]]);
  });

  test('is told apart of actions that go on at once', () => {
    const histories = new Histories();
    const [one, other] = [recordOf('a', 'ci', 1), recordOf('b', 'ci', 2, { status: 'failed' })];
    histories.plan(one, { candidate, recorded: candidate, happens: true, newly: false });
    histories.plan(other, { candidate, recorded: candidate, happens: true, newly: false });
    for (const record of [one, other]) histories.place(record, AT - 1000);
    histories.settle(one);
    expect(read(histories, asks())).toEqual([[1, 1, 2]]);
    histories.settle(other);
    expect(read(histories, asks())).toEqual([[1, 0, 1]]);
  });

  test('knows nothing of an action of which nothing was planned, and of one without facts', () => {
    const histories = new Histories();
    histories.place(recordOf('a', 'ci', 1), AT - 1000);
    histories.settle(recordOf('a', 'ci', 1));
    const { facts: _facts, ...malformed } = recordOf('b', 'ci', 2);
    histories.plan(malformed, { candidate, recorded: candidate, happens: true, newly: false });
    histories.place(malformed, AT - 1000);
    expect(read(histories, asks())).toEqual([[0, 0, 0]]);
  });
});

describe('a backtest of rules on history', () => {
  const AFTER =
    '@id("after") forbid (principal, action, resource == Countersign::Tool::"deploy") unless { context.history.tested.done >= 1 };\n';
  const NO_CI = '@id("no-ci") forbid (principal, action, resource == Countersign::Tool::"ci");\n';

  test('denies what came after an action that is denied now, and lets pass what comes after one that is allowed', () => {
    const before = policyOf(TESTED, AFTER);
    const decided = (record: DecidedRecord, ...history: ReturnType<typeof figure>[]): DecisionRecord => {
      const own = withHistory(record, ...history);
      const decision = evaluate(before, own.facts);
      const goes = decision.effect === 'allow';
      return { ...own, decision, attempted: goes, status: goes ? 'success' : 'denied' };
    };
    const records = [
      decided(recordOf('ci-1', 'ci', 1), figure(0)),
      decided(recordOf('deploy-1', 'deploy', 3), figure(1)),
      decided(recordOf('other', 'db', 5), figure(1)),
    ];
    const run = (candidate: Policy) =>
      Object.fromEntries(
        backtest(records, { candidate, recordedUnder: [before.bundle] }).changes.map(({ actionId, kind }) => [
          actionId,
          kind,
        ]),
      );
    expect(run(before)).toEqual({});
    expect(run(policyOf(TESTED, AFTER + NO_CI))).toEqual({ 'ci-1': 'newly-denied', 'deploy-1': 'newly-denied' });
    expect(run(policyOf(''))).toEqual({});
  });
});

describe('a report', () => {
  const ASK =
    '@id("ask") @reason("r") @approval("dba") forbid (principal, action, resource == Countersign::Tool::"ci");\n';
  const LIMITS =
    'limits:\n  money: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 10, window: 1d}\n  more: {kind: budget, scope: tenant, amount: input.amount * 2, unit: EUR, max: 10, window: 1d}\n  few: {kind: count, scope: agent, max: 0, window: 1d}\n';
  const decided = (record: DecidedRecord, policy: Policy): DecisionRecord => ({
    ...record,
    decision: evaluate(policy, record.facts),
  });

  test('has every change with what it is of, where both leave it, and what budgets measured of it', () => {
    const before = policyOf('');
    const record = decided(
      recordOf('a', 'ci', 1, {
        proposal: { actionId: 'a', tool: 'ci', input: { amount: 8 } },
        approvals: [approval('ann', ['dba'])],
      }),
      before,
    );
    const many = {
      ...record,
      facts: { ...record.facts!, preview: { ...record.facts!.preview, targets: ['1', '2', '3', '4', '5', '6'] } },
    };
    const candidate = policyFromText({
      'a.cedar': PERMIT_ALL + ASK,
      'limits.yaml': LIMITS.replace(
        'few: {kind: count, scope: agent, max: 0',
        'few: {kind: count, scope: agent, max: 9',
      ).replace('max: 10, window: 1d}\n  few', 'max: 99, window: 1d}\n  few'),
    });
    const report = backtest([many], {
      candidate,
      recordedUnder: [before.bundle],
      unread: [{ name: 'acme/gone', why: 'no record' }],
    });
    expect(report.changes).toEqual([
      {
        kind: 'newly-asked',
        tenant: 'acme',
        actionId: 'a',
        decidedAt: record.decidedAt,
        agent: 'test-agent',
        tool: 'ci',
        operation: 'update',
        targets: ['1', '2', '3', '4', '5'],
        before: { effect: 'allow', standing: 'allowed', reason: 'allowed by permit-all' },
        after: { effect: 'require_approval', standing: 'approved', reason: 'ask: r' },
        rules: ['ask', 'permit-all'],
        amounts: { EUR: 16 },
      },
    ]);
    expect(report.undecided).toEqual([{ why: 'no record', count: 1, examples: ['acme/gone'] }]);
    expect(report.exhausted).toEqual([]);
    expect(report.summary).toMatchObject({ decisions: 2, redecided: 1, undecided: 1 });
  });

  test('tells which counters had no room, by budget with what was asked, and not those that had none then', () => {
    const before = policyOf('');
    const record = decided(
      recordOf('a', 'db', 1, { proposal: { actionId: 'a', tool: 'db', input: { amount: 12 } } }),
      before,
    );
    const candidate = policyFromText({ 'a.cedar': PERMIT_ALL, 'limits.yaml': LIMITS });
    const exhausted = (one: DecisionRecord) =>
      backtest([one], { candidate, recordedUnder: [before.bundle] }).exhausted.map(({ limit, asked }) => [
        limit,
        asked?.amount ?? 0,
      ]);
    expect(exhausted(record)).toEqual([
      ['few', 0],
      ['money', 12],
      ['more', 24],
    ]);
    const figures = [
      {
        limit: 'few',
        key: 'agent=test-agent',
        kind: 'count',
        max: 0,
        used: 0,
        held: 0,
        left: 0,
        fits: false,
        text: '',
      },
    ] as const;
    expect(exhausted({ ...record, facts: { ...record.facts!, limits: figures } })).toEqual([
      ['money', 12],
      ['more', 24],
    ]);
  });

  test('of a record that cannot be decided again counts what it held all the same', () => {
    const candidate = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("own") forbid (principal, action, resource) when { principal has owner && principal.owner == "eve" };`,
      'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 1, window: 1d}\n',
    });
    const hold = {
      limit: 'few',
      key: 'agent=test-agent',
      kind: 'count',
      amount: 1,
      status: 'consumed',
      placedAt: '2025-01-01T12:00:01.000Z',
      settledAt: '2025-01-01T12:00:02.000Z',
    } as const;
    const scrubbed = decided(recordOf('a', 'db', 1, { holds: [hold], scrubbed: ['/facts/agent/owner'] }), candidate);
    const next = decided(recordOf('b', 'db', 5), candidate);
    const run = (records: readonly DecisionRecord[]) => backtest(records, { candidate });
    expect(run([next]).changes).toEqual([]);
    expect(run([scrubbed, next])).toMatchObject({
      changes: [{ actionId: 'b', kind: 'newly-denied' }],
      summary: { undecided: 1, redecided: 1 },
    });
    const { holds: _holds, ...free } = scrubbed;
    expect(run([{ ...free, holds: [] }, next]).changes).toEqual([]);
  });
});
