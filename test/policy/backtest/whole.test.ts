/** A backtest put together: in which order, under which recorded policy, and what goes ahead; and single decisions that are made again. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import type { Decision } from '../../../src/action/decision.js';
import { digestText } from '../../../src/action/json.js';
import { backtest, spentUnder, type BacktestReport } from '../../../src/policy/backtest/index.js';
import { ask, redecide, type DecidedRecord } from '../../../src/policy/backtest/redecide.js';
import { evaluate, type Policy } from '../../../src/policy/index.js';
import { policyFromText } from '../../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from '../facts.js';
import { schemaWith } from '../input-example.js';
import { approval, recorded, type Scene } from './recording.js';

const policy = (limits = '', rules = PERMIT_ALL, more: Readonly<Record<string, string>> = {}): Policy =>
  policyFromText({ 'a.cedar': rules, ...(limits === '' ? {} : { 'limits.yaml': `limits:\n${limits}` }), ...more });
const BUDGET = (max: number, amount = 'input.amount') =>
  `  refunds: {kind: budget, scope: agent, amount: ${amount}, unit: EUR, max: ${max}, window: 1d}\n`;
const FEW = (max: number, more = '') => `  few: {kind: count, scope: agent, max: ${max}, window: 1d${more}}\n`;
const refund = (id: string, at: number, amount: number, more: Partial<Scene> = {}): Scene => ({
  id,
  at,
  input: { amount },
  ...more,
});
const kinds = ({ changes }: BacktestReport): Record<string, string> =>
  Object.fromEntries(changes.map(({ actionId, kind }) => [actionId, kind]));

const DIGEST = digestText('x');
function recordOf(more: Partial<DecisionRecord> & { readonly facts?: DecidedRecord['facts'] } = {}): DecidedRecord {
  return {
    v: 1,
    tenant: 'acme',
    actionId: 'a',
    proposalDigest: DIGEST,
    proposal: { actionId: 'a', tool: 'shop-db', input: {} },
    facts: factsOf(),
    approvals: [],
    status: 'success',
    attempted: true,
    holds: [],
    decidedAt: '2025-01-01T12:00:00.000Z',
    endedAt: '2025-01-01T12:00:01.000Z',
    receipt: { seq: 1, hash: DIGEST },
    ...more,
  };
}
const decided = (under: Policy, record: DecidedRecord): DecidedRecord => ({
  ...record,
  decision: evaluate(under, record.facts),
});

describe('a backtest', () => {
  const before = policy(BUDGET(500));
  const records = recorded(before, [
    refund('a', 0, 200),
    refund('b', 10, 200),
    refund('c', 20, 80),
    refund('over', 30, 50),
    refund('d', 40, 20),
  ]);
  const tried = (
    of: readonly DecisionRecord[],
    candidate: Policy,
    then: readonly Policy['bundle'][] = [before.bundle],
  ) => backtest(of, { candidate, recordedUnder: then });

  test('goes by when decisions were made, however the records come, and leaves them as they are', () => {
    const reversed = records.toReversed();
    const order = reversed.map(({ actionId }) => actionId);
    expect(tried(reversed, policy(BUDGET(300)))).toEqual(tried(records, policy(BUDGET(300))));
    expect(reversed.map(({ actionId }) => actionId)).toEqual(order);
    expect(kinds(tried(reversed, policy(BUDGET(300))))).toEqual({ b: 'newly-denied' });
  });

  test('tells of what was decided in one millisecond in the order of receipts', () => {
    const [one, other] = ['one', 'other'].map((actionId, i) =>
      decided(policy(), recordOf({ actionId, receipt: { seq: i + 1, hash: DIGEST } })),
    ) as [DecidedRecord, DecidedRecord];
    const none = policy('', '@id("never") forbid (principal, action, resource);');
    for (const given of [
      [one, other],
      [other, one],
    ])
      expect(backtest(given, { candidate: none }).changes.map(({ actionId }) => actionId)).toEqual(['one', 'other']);
  });

  test('takes what is newly allowed for a good end: it keeps a breaker closed that bad ends alone would open', () => {
    const bad = { status: 'mismatch' } as const;
    const scenes = [
      refund('a', 0, 1, bad),
      refund('x', 10, 5000),
      refund('b', 20, 1, bad),
      refund('c', 30, 1, bad),
      refund('d', 40, 1),
    ];
    const breaker = '  failing: {kind: breaker, scope: tool, window: 1d, minimum: 3, ratio: 0.8, open: 10m}\n';
    expect(kinds(tried(recorded(before, scenes), policy(breaker)))).toEqual({ x: 'newly-allowed' });
    const without = scenes.filter(({ id }) => id !== 'x');
    expect(kinds(tried(recorded(before, without), policy(breaker)))).toEqual({ d: 'newly-denied' });
  });

  test('of nothing, and without more than a candidate, counts nothing', () => {
    expect(backtest([], { candidate: before })).toMatchObject({
      summary: { decisions: 0, undecided: 0, recordedUnder: [], candidate: before.digest },
      undecided: [],
      changes: [],
    });
  });

  test('knows the candidate itself as the policy that decisions were made under', () => {
    const later = records.slice(2);
    expect(backtest(later, { candidate: before }).summary).toMatchObject({ same: 3, toTheLetter: 3 });
    // Under another, of which it is not told, what was used before is not known.
    expect(kinds(tried(later, policy(BUDGET(450)), []))).toEqual({ over: 'newly-allowed' });
    expect(kinds(tried(later, policy(BUDGET(450))))).toEqual({
      c: 'newly-denied',
      over: 'newly-allowed',
      d: 'newly-denied',
    });
  });

  test('translates what a policy asked then by the text of its limits, also where it is no policy any more', () => {
    const later = records.slice(2);
    const gone = { ...before.bundle, files: { ...before.bundle.files, 'a.cedar': 'no policy' } };
    expect(kinds(tried(later, policy(BUDGET(450)), [gone]))).toEqual({
      c: 'newly-denied',
      over: 'newly-allowed',
      d: 'newly-denied',
    });
    // Where the candidate measures something else, what it asked then has to be evaluated.
    const other = policy(BUDGET(450, 'input.amount * 1'));
    expect(kinds(tried(later, other))).toEqual({ c: 'newly-denied', over: 'newly-allowed', d: 'newly-denied' });
    expect(kinds(tried(later, other, [gone]))).toEqual({ over: 'newly-allowed' });
  });

  test('takes limits that are written alike for asking alike, whatever else the policy then said', () => {
    const later = records.slice(2);
    const rules = `${PERMIT_ALL}@id("never") forbid (principal, action, resource) when { context.rows > 5 };`;
    const gone = { ...before.bundle, files: { ...before.bundle.files, 'a.cedar': 'no policy' } };
    expect(tried(later, policy(BUDGET(500), rules), [gone]).summary).toMatchObject({ same: 3, toTheLetter: 3 });
  });

  test('measures money by the policy then, where the candidate can ask nothing', () => {
    const report = tried(records.slice(0, 1), policy(BUDGET(500, 'input.nothing')));
    expect(report.changes).toMatchObject([
      {
        kind: 'newly-denied',
        amounts: { EUR: 200 },
        before: { effect: 'allow', standing: 'allowed' },
        after: { effect: 'deny', standing: 'denied', code: 'POLICY_ERROR' },
      },
    ]);
    expect(report.changes[0]?.before).not.toHaveProperty('code');
    expect(tried(records.slice(0, 1), policy(BUDGET(500, 'input.nothing')), []).changes[0]?.amounts).toEqual({});
  });
});

describe('what goes ahead under a candidate is counted by it', () => {
  const LARGE = (terms: string) =>
    `${PERMIT_ALL}@id("large") @reason("large") @approval("${terms}") forbid (principal, action, resource) when { context.rows > 100 };\n`;
  const free = policy();
  const asking = policy('', LARGE('dba'));
  const large = factsOf({ preview: { rows: 200 } });
  const second = (record: DecidedRecord): DecidedRecord => ({
    ...record,
    actionId: 'next',
    facts: { ...factsOf(), now: '2025-01-01T12:00:05.000Z' },
    decidedAt: '2025-01-01T12:00:05.000Z',
    endedAt: '2025-01-01T12:00:06.000Z',
  });
  /** Whether the first of two actions leaves no room for the second, of which there may be one. */
  const counts = (first: DecidedRecord, then: Policy, rules = PERMIT_ALL): boolean => {
    const next = decided(free, second(recordOf()));
    const report = backtest([decided(then, first), next], {
      candidate: policy(FEW(1), rules),
      recordedUnder: [then.bundle, free.bundle],
    });
    return kinds(report)['next'] === 'newly-denied';
  };
  const hold = {
    limit: 'other',
    key: '',
    kind: 'count',
    amount: 1,
    status: 'consumed',
    placedAt: '2025-01-01T12:00:00.500Z',
    settledAt: '2025-01-01T12:00:00.900Z',
  } as const;
  const gone = { attempted: false, status: 'denied' } as const;

  test('where it was allowed and went ahead: it was attempted, or held something', () => {
    expect(counts(recordOf(), free)).toBe(true);
    expect(counts(recordOf({ attempted: false, status: 'cancelled' }), free)).toBe(false);
    expect(counts(recordOf({ attempted: false, status: 'success', holds: [hold] }), free)).toBe(true);
  });

  test('not where the candidate denies it, or people refused it', () => {
    const never = `${PERMIT_ALL}@id("never") forbid (principal, action, resource) when { context.rows > 100 };`;
    expect(counts(recordOf({ facts: large }), free, never)).toBe(false);
    const no = { facts: large, approvals: [approval('ann', ['dba'], 'deny')] };
    expect(counts(recordOf({ ...no, ...gone }), asking, LARGE('dba'))).toBe(false);
    expect(counts(recordOf(no), free, LARGE('dba'))).toBe(false);
    expect(counts(recordOf({ ...no, ...gone }), asking)).toBe(true);
  });

  test('where people approved it: then if it went ahead, now in any case', () => {
    const yes = { facts: large, approvals: [approval('ann', ['dba'])] };
    expect(counts(recordOf(yes), asking, LARGE('dba'))).toBe(true);
    expect(counts(recordOf({ ...yes, attempted: false, status: 'cancelled' }), asking, LARGE('dba'))).toBe(false);
    const boss = { facts: large, approvals: [approval('ann', ['boss'])], ...gone };
    expect(counts(recordOf(boss), asking, LARGE('boss'))).toBe(true);
  });

  test('what nobody answered: not where they are asked again, but where nobody is asked any more', () => {
    expect(counts(recordOf({ facts: large, ...gone }), asking, LARGE('lead'))).toBe(false);
    expect(counts(recordOf({ facts: large, ...gone }), asking)).toBe(true);
  });

  test('what is allowed and nobody was asked about counts, though it would wait for people now', () => {
    expect(counts(recordOf({ facts: large }), free, LARGE('dba'))).toBe(true);
  });

  test("is in nobody else's way", () => {
    const other = recordOf({ facts: factsOf({ agent: { id: 'other' } }) });
    expect(counts(other, free)).toBe(false);
    expect(counts({ ...recordOf(), tenant: 'other', facts: factsOf({ agent: { tenant: 'other' } }) }, free)).toBe(
      false,
    );
  });

  test('is counted as long as it ran, where it holds a place', () => {
    const one = policy('  one: {kind: concurrency, scope: tenant, max: 1}\n');
    const at = (end: string) =>
      kinds(
        backtest([decided(free, recordOf({ endedAt: end })), decided(free, second(recordOf()))], {
          candidate: one,
          recordedUnder: [free.bundle],
        }),
      );
    expect(at('2025-01-01T12:00:05.500Z')).toEqual({ next: 'newly-denied' });
    expect(at('2025-01-01T12:00:04.000Z')).toEqual({});
  });

  test('is told as waiting, unless it waited then', () => {
    const one = policy('  one: {kind: concurrency, scope: tenant, max: 1, atLimit: queue for 1m}\n');
    const next = decided(free, second(recordOf()));
    const run = (last: DecidedRecord) =>
      kinds(
        backtest([decided(free, recordOf({ endedAt: '2025-01-01T12:00:05.500Z' })), last], {
          candidate: one,
          recordedUnder: [free.bundle],
        }),
      );
    expect(run(next)).toEqual({ next: 'newly-queued' });
    expect(run({ ...next, error: { code: 'LIMIT_EXCEEDED', message: 'm' } })).toEqual({});
    expect(run({ ...next, error: { code: 'FROZEN', message: 'm' } })).toEqual({ next: 'newly-queued' });
  });
});

describe('earlier actions', () => {
  const TESTED = (within = '1d') => ({
    'history.yaml': `history:\n  tested: {of: {tool: ci}, scope: tenant, within: ${within}}\n`,
  });
  const AFTER = `${PERMIT_ALL}@id("after") forbid (principal, action, resource == Countersign::Tool::"deploy") unless { context.history.tested.done >= 1 };\n`;
  const candidate = policy('', AFTER, TESTED());
  const at = (second: number, tool: string, more: Partial<DecisionRecord> = {}): DecidedRecord => {
    const time = (after: number) => `2025-01-01T12:00:0${second + after}.000Z`;
    const { facts: _facts, ...others } = more;
    return recordOf({
      actionId: `${tool}-${second}`,
      facts: factsOf({ tool: { name: tool }, now: time(0) }),
      decidedAt: time(0),
      endedAt: time(1),
      ...others,
    });
  };
  const figure = (done: number) => ({ fact: 'tested', done, underWay: 0, possible: done, text: '' });
  const deploy = (done: number): DecidedRecord => {
    const record = at(4, 'deploy');
    return decided(candidate, { ...record, facts: { ...record.facts, history: [figure(done)] } });
  };
  const deployed = (records: readonly DecisionRecord[], under: Policy | undefined, now = candidate) =>
    kinds(backtest(records, { candidate: now, recordedUnder: under === undefined ? [] : [under.bundle] }))['deploy-4'];

  test('that cannot be decided again count where they were attempted', () => {
    const own = policy(
      '',
      `${AFTER}@id("own") forbid (principal, action, resource) when { principal has owner && principal.owner == "eve" };`,
      TESTED(),
    );
    const scrubbed = (attempted: boolean, status: DecisionRecord['status'] = attempted ? 'success' : 'denied') =>
      decided(own, at(1, 'ci', { scrubbed: ['/facts/agent/owner'], attempted, status }));
    const free = policy();
    const next = { ...at(4, 'deploy'), decision: evaluate(free, at(4, 'deploy').facts) };
    const run = (first: DecisionRecord) =>
      kinds(backtest([first, next], { candidate: own, recordedUnder: [free.bundle] }));
    expect(run(scrubbed(true))).toEqual({});
    expect(run(scrubbed(true, 'failed'))).toEqual({ 'deploy-4': 'newly-denied' });
    expect(run(scrubbed(false))).toEqual({ 'deploy-4': 'newly-denied' });
  });

  test('are what was read then, where the policy then had the same fact; else what the records tell', () => {
    // Nothing is recorded of what was done before: only what was read tells of it.
    expect(deployed([deploy(1)], candidate)).toBeUndefined();
    const renamed = policy('', AFTER.replaceAll('tested', 'other'), {
      'history.yaml': TESTED()['history.yaml'].replace('tested', 'other'),
    });
    const under = (then: Policy) => [{ ...deploy(1), decision: { ...deploy(1).decision!, policyDigest: then.digest } }];
    expect(deployed(under(renamed), renamed)).toBe('newly-denied');
    const plain = policy();
    expect(deployed(under(plain), plain)).toBe('newly-denied');
    expect(deployed(under(plain), undefined)).toBe('newly-denied');
    const longer = policy('', AFTER, TESTED('2d'));
    expect(deployed(under(longer), longer)).toBe('newly-denied');
  });

  test('that go ahead now, and did not then, make possible what comes after them', () => {
    const NO_CI = `${AFTER}@id("no-ci") forbid (principal, action, resource == Countersign::Tool::"ci");\n`;
    const strict = policy('', NO_CI, TESTED());
    const ci = at(1, 'ci', { attempted: false, status: 'denied' });
    const records = [
      {
        ...ci,
        decision: evaluate(strict, { ...ci.facts, history: [figure(0)] }),
        facts: { ...ci.facts, history: [figure(0)] },
      },
      ((record) => ({
        ...record,
        decision: evaluate(strict, record.facts),
        attempted: false,
        status: 'denied' as const,
      }))(deploy(0)),
    ];
    expect(kinds(backtest(records, { candidate, recordedUnder: [strict.bundle] }))).toEqual({
      'ci-1': 'newly-allowed',
      'deploy-4': 'newly-allowed',
    });
    expect(kinds(backtest(records, { candidate: strict, recordedUnder: [strict.bundle] }))).toEqual({});
  });
});

describe('one decision', () => {
  const NO_ROOM = { used: 1, held: 0, left: 0, fits: false };
  const reading = (more: object = {}) => ({
    limit: 'few',
    key: 'agent=test-agent',
    kind: 'count' as const,
    max: 1,
    ...NO_ROOM,
    ...more,
  });
  const denied = (under: Policy, more: Partial<Decision> = {}): Decision => ({
    ...evaluate(under, factsOf()),
    effect: 'deny',
    code: 'LIMIT_EXCEEDED',
    ...more,
  });
  const again = (under: Policy, record: DecidedRecord, readings = [reading()]) => {
    const asked = ask(under, record, true);
    if (asked.kind !== 'asked') throw new Error(asked.decision.reason);
    return redecide(under, record, asked, readings);
  };

  test("without limits and history is the policy's", () => {
    const free = policy();
    expect(again(free, recordOf(), [])).toEqual({ decision: evaluate(free, factsOf()), queued: false });
  });

  test('at a limit that lets wait is waiting, unless it had waited in vain: then it is denied for want of room', () => {
    const queueing = policy(FEW(1, ', atLimit: queue for 5m'));
    expect(again(queueing, recordOf())).toMatchObject({ decision: { effect: 'allow' }, queued: true });
    const inVain = again(queueing, recordOf({ decision: denied(queueing) }));
    expect(inVain).toMatchObject({
      decision: { effect: 'deny', code: 'LIMIT_EXCEEDED', requirements: [], violations: [] },
      queued: false,
    });
    expect(inVain.decision.reason).toContain('few');
    expect(again(queueing, recordOf({ decision: denied(queueing, { code: 'POLICY_DENIED' }) })).queued).toBe(true);
    expect(again(queueing, recordOf({ decision: denied(queueing, { effect: 'allow' }) })).queued).toBe(true);
    expect(
      again(queueing, recordOf({ decision: denied(queueing) }), [reading({ used: 0, left: 1, fits: true })]),
    ).toMatchObject({
      decision: { effect: 'allow' },
      queued: false,
    });
    const strict = policy(FEW(1));
    expect(again(strict, recordOf())).toMatchObject({
      decision: { effect: 'deny', code: 'LIMIT_EXCEEDED' },
      queued: false,
    });
  });

  test('that waits for what comes before it is denied by the rule, where it had waited in vain for that', () => {
    const waiting = policy(
      '',
      `${PERMIT_ALL}@id("after") @reason("test first") forbid (principal, action, resource) unless { context.history.tested.done >= 1 };`,
      { 'history.yaml': 'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 1d, wait: 5m}\n' },
    );
    const underWay = { fact: 'tested', done: 0, underWay: 1, possible: 1 };
    const redecided = (decision: Decision | undefined, then: number) => {
      const record = recordOf({
        facts: {
          ...factsOf(),
          history: [
            { ...underWay, underWay: then, text: '' },
            { ...underWay, fact: 'other', underWay: 0, text: '' },
          ],
        },
        ...(decision === undefined ? {} : { decision }),
      });
      const asked = ask(waiting, record, true);
      if (asked.kind !== 'asked') throw new Error(asked.decision.reason);
      const { decision: after, queued } = redecide(waiting, record, asked, [], {
        queries: [],
        marks: [],
        readings: [underWay],
      });
      return [after.effect, after.code, queued];
    };
    const byRule = denied(policy(), { code: 'POLICY_DENIED' });
    expect(redecided(byRule, 1)).toEqual(['deny', 'POLICY_DENIED', false]);
    expect(redecided(byRule, 0)).toEqual(['allow', undefined, true]);
    expect(redecided({ ...byRule, effect: 'allow' }, 1)).toEqual(['allow', undefined, true]);
    expect(redecided({ ...byRule, code: 'LIMIT_EXCEEDED' }, 1)).toEqual(['allow', undefined, true]);
    expect(redecided(undefined, 1)).toEqual(['allow', undefined, true]);
  });

  test('is on the facts without what was read then, and on what the policy declares of the input', () => {
    const typed = policy('', PERMIT_ALL, { 'schema.cedarschema': schemaWith('a?: Long, b?: Long') });
    const record = recordOf({
      facts: { ...factsOf(), input: { a: 1 }, limits: [], history: [] },
      proposal: { actionId: 'a', tool: 'shop-db', input: { a: 2, b: 3, c: 4 } },
    });
    const facts = (under: Policy, same: boolean, of = record) => {
      const asked = ask(under, of, same);
      return asked.kind === 'asked' ? asked.facts : asked.decision;
    };
    expect(facts(typed, true)).toEqual({ ...factsOf(), input: { a: 1 } });
    expect(facts(typed, false)).toEqual({ ...factsOf(), input: { a: 1, b: 3 } });
    const { proposal: _proposal, ...without } = record;
    expect(facts(typed, false, without)).toEqual({ ...factsOf(), input: { a: 1 } });
    const { input: _input, ...bare } = record.facts;
    expect(facts(typed, false, { ...record, facts: bare })).toEqual({ ...factsOf(), input: { a: 2, b: 3 } });
    expect(Object.keys(facts(policy(), false))).not.toContain('input');
    expect(Object.keys(facts(policy(), true, { ...record, facts: bare }))).not.toContain('input');
  });

  test('cannot be made where the input or a limit does not fit, which denies it with the reason', () => {
    const typed = policy('', PERMIT_ALL, { 'schema.cedarschema': schemaWith('a?: Long') });
    expect(ask(typed, recordOf({ facts: { ...factsOf(), input: { a: 'x' } } }), true)).toEqual({
      kind: 'unusable',
      decision: {
        effect: 'deny',
        code: 'POLICY_ERROR',
        reason: expect.stringContaining('a') as string,
        policies: [],
        constraints: [],
        violations: [],
        requirements: [],
        errors: [],
        policyDigest: typed.digest,
      },
    });
    expect(ask(policy(BUDGET(5)), recordOf(), true)).toMatchObject({
      kind: 'unusable',
      decision: { code: 'POLICY_ERROR', reason: expect.stringContaining('refunds') as string },
    });
  });

  test('asks of limits by the proposal then: its input and its trace', () => {
    const traced = policy('  few: {kind: count, scope: trace, max: 1, window: 1d}\n');
    const keys = (traceId?: string) => {
      const asked = ask(
        traced,
        recordOf({
          proposal: { actionId: 'a', tool: 'shop-db', input: {}, ...(traceId === undefined ? {} : { traceId }) },
        }),
        true,
      );
      return asked.kind === 'asked' ? asked.resolved.limits.map(({ demand }) => demand.key) : [];
    };
    expect(keys('t1')).toEqual(['trace=t1']);
    expect(keys()).toEqual(['trace=,of=test-agent']);
    const { proposal: _proposal, ...without } = recordOf();
    expect(ask(traced, without, true).kind).toBe('asked');
  });
});

describe('what was spent', () => {
  const settling = policy(
    '  refunds: {kind: budget, scope: agent, amount: input.amount, settled: result.paid, unit: EUR, max: 500, window: 1d}\n' +
      FEW(5),
  );
  const record = recordOf({ proposal: { actionId: 'a', tool: 'shop-db', input: { amount: 9 } } });

  test('is what the result says of each budget that is settled by it', () => {
    expect(spentUnder(settling, record, { paid: 7 })).toEqual({ refunds: 7 });
  });

  test('is not known without facts, or where the policy can ask nothing', () => {
    const { facts: _facts, ...malformed } = record;
    expect(spentUnder(settling, malformed, { paid: 7 })).toBeUndefined();
    expect(spentUnder(settling, recordOf(), { paid: 7 })).toBeUndefined();
  });
});
