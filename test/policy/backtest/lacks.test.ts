/** What a record lacks to be decided again, what a policy asked of its limits before, and how two worlds are told apart: nothing is guessed. */
import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import { digestText } from '../../../src/action/json.js';
import type { LimitDemand, LimitFigure } from '../../../src/action/limits.js';
import { lacking, Readings } from '../../../src/policy/backtest/lacks.js';
import { translation } from '../../../src/policy/backtest/recorded-demands.js';
import type { DecidedRecord } from '../../../src/policy/backtest/redecide.js';
import { microsecondsOf } from '../../../src/policy/backtest/windows.js';
import { Worlds } from '../../../src/policy/backtest/world.js';
import type { Policy, ResolvedLimit } from '../../../src/policy/index.js';
import { factsOf } from '../facts.js';

const DIGEST = digestText('x');

function recordOf(more: Partial<DecisionRecord> = {}): DecidedRecord {
  return {
    v: 1,
    tenant: 'acme',
    actionId: 'a',
    proposalDigest: DIGEST,
    proposal: { actionId: 'a', tool: 'db', input: {} },
    facts: factsOf(),
    decision: {
      effect: 'allow',
      reason: 'r',
      policies: [],
      constraints: [],
      violations: [],
      requirements: [],
      errors: [],
      policyDigest: DIGEST,
    },
    approvals: [],
    status: 'success',
    attempted: true,
    holds: [],
    decidedAt: '2025-01-01T12:00:00.000Z',
    endedAt: '2025-01-01T12:00:09.000Z',
    receipt: { seq: 1, hash: DIGEST },
    ...more,
  };
}

type Fact = { readonly same?: readonly string[]; readonly scope?: readonly string[] };
function policyOf(files: Readonly<Record<string, string>>, facts: readonly Fact[] = [], declares?: () => unknown) {
  return {
    bundle: { files },
    history: { facts: facts.map(({ same = [], scope = ['tenant'] }) => ({ same, scope })) },
    declaredInput: declares ?? (() => undefined),
  } as unknown as Policy;
}
const why = (record: DecidedRecord, policy: Policy, sameSchema = true) =>
  lacking(record, policy, new Readings(policy), sameSchema);
const without = ({ proposal: _proposal, ...record }: DecidedRecord): DecidedRecord => record;

describe('what a policy reads', () => {
  test.each<[string, string, boolean]>([
    ['context.amount > 5', 'amount', true],
    ['context . amount > 5', 'amount', true],
    ['context["amount"] > 5', 'amount', true],
    ["input['amount']", 'amount', true],
    ['context has amount', 'amount', true],
    ['context has "amount"', 'amount', true],
    ['context.amounts > 5', 'amount', false],
    ['context.my-amount', 'amount', false],
    ['// amount', 'amount', false],
    ['context.a_b', 'a_b', true],
    ['context["a.b"]', 'a.b', true],
    ['context["axb"]', 'a.b', false],
  ])('%s mentions %s: %s', (text, name, mentions) => {
    expect(new Readings(policyOf({ 'a.cedar': text })).mentions(name)).toBe(mentions);
    expect(new Readings(policyOf({ 'limits.yaml': text })).mentions(name)).toBe(mentions);
    expect(new Readings(policyOf({ 'schema.cedarschema': text, 'tests/a.yaml': text })).mentions(name)).toBe(false);
  });

  test('is in one file or another, and in nothing that two of them make together', () => {
    const readings = new Readings(
      policyOf({ 'a.cedar': 'context.amount', 'b.cedar': 'permit has', 'c.cedar': 'rows' }),
    );
    expect([readings.mentions('amount'), readings.mentions('amountpermit')]).toEqual([true, false]);
    expect(new Readings(policyOf({ 'a.cedar': 'context.', 'b.cedar': 'amount' })).mentions('amount')).toBe(true);
  });

  test('is looked for in history by its name alone', () => {
    const readings = new Readings(policyOf({ 'history.yaml': 'same: input.orderId' }));
    expect([readings.mentions('orderId'), readings.mentions('order'), readings.mentions('orderId')]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('is of agents where one is named, or an id is read', () => {
    const names = (text: string) => new Readings(policyOf({ 'a.cedar': text })).namesAgents;
    expect([
      names('principal == Countersign::Agent::"bot"'),
      names('principal == Agent :: "bot"'),
      names('context.id == 1'),
      names('principal is Countersign::Agent'),
    ]).toEqual([true, true, true, false]);
  });

  test('is of inputs and traces as its limits and facts say', () => {
    const reads = (limits: string, facts: readonly Fact[] = []) => {
      const found = new Readings(policyOf({ 'limits.yaml': limits }, facts));
      return [found.limitsReadInput, found.limitsReadTrace, found.historyReadsInput, found.historyReadsTrace];
    };
    expect(reads('amount: input.a')).toEqual([true, false, false, false]);
    expect(reads('scope: trace')).toEqual([false, true, false, false]);
    expect(reads('inputs, traces')).toEqual([false, false, false, false]);
    expect(reads('', [{ same: ['a'] }, {}])).toEqual([false, false, true, false]);
    expect(reads('', [{}, { scope: ['agent', 'task'] }])).toEqual([false, false, false, true]);
    expect(new Readings(policyOf({})).limitsReadInput).toBe(false);
  });
});

describe('a record can be decided again', () => {
  test('where nothing is lacking', () => {
    expect(
      why(recordOf(), policyOf({ 'limits.yaml': 'input trace' }, [{ same: ['a'], scope: ['task'] }])),
    ).toBeUndefined();
    expect(why(without(recordOf()), policyOf({}))).toBeUndefined();
  });

  test('not where it ended before policy had decided, unless policy could not decide', () => {
    const { decision: _decision, ...undecided } = recordOf();
    expect(why(undecided as DecidedRecord, policyOf({}))).toBe(
      'it ended with success before policy had decided, because of what no record holds',
    );
    const error = (code: 'FROZEN' | 'POLICY_ERROR') =>
      ({ ...undecided, error: { code, message: 'm' } }) as DecidedRecord;
    expect(why(error('FROZEN'), policyOf({}))).toMatch(/^it ended with FROZEN/);
    expect(why(error('POLICY_ERROR'), policyOf({}))).toBeUndefined();
  });

  test.each<[string, Policy, string]>([
    [
      'a limit reads the input',
      policyOf({ 'limits.yaml': 'input' }),
      'a limit reads the input, and the proposal was not kept',
    ],
    [
      'a limit reads the trace',
      policyOf({ 'limits.yaml': 'trace' }),
      'a limit reads the trace, and the proposal was not kept',
    ],
    [
      'history reads the input',
      policyOf({}, [{ same: ['a'] }]),
      'a history fact reads the input, and the proposal was not kept',
    ],
    [
      'history reads the trace',
      policyOf({}, [{ scope: ['task'] }]),
      'a history fact reads the trace, and the proposal was not kept',
    ],
  ])('not without its proposal, where %s', (_, policy, expected) => {
    expect(why(without(recordOf()), policy)).toBe(expected);
    expect(why(recordOf(), policy)).toBeUndefined();
  });

  test('not without its proposal, where another schema may declare more of the input', () => {
    const told = 'the schema declares of the input what may not have been recorded, and the proposal was not kept';
    const declares = policyOf({}, [], () => ({}));
    expect(why(without(recordOf()), declares, false)).toBe(told);
    expect(why(without(recordOf()), declares, true)).toBeUndefined();
    expect(why(recordOf(), declares, false)).toBeUndefined();
    expect(why(without(recordOf()), policyOf({}), false)).toBeUndefined();
    const failing = policyOf({}, [], () => {
      throw new Error('no input');
    });
    expect(why(without(recordOf()), failing, false)).toBe(told);
  });

  test('not where a delegation capped what no budget measured', () => {
    const capped = recordOf();
    const by = (policy: string) => ({
      ...capped,
      decision: { ...capped.decision!, violations: [{ policy, reason: 'r' }] },
    });
    expect(why(by('limit:delegation:d:EUR'), policyOf({}))).toBe(
      'a delegation capped what no budget measured, and such caps are not recorded',
    );
    expect(why(by('limit:money'), policyOf({}))).toBeUndefined();
    const figure = { limit: 'delegation:d:EUR' } as LimitFigure;
    expect(
      why({ ...by('limit:delegation:d:EUR'), facts: { ...factsOf(), limits: [figure] } }, policyOf({})),
    ).toBeUndefined();
  });

  test('where that budget was measured, among others, and not where only others were', () => {
    const decided = recordOf();
    const capped = (...figures: string[]) => ({
      ...decided,
      facts: { ...factsOf(), limits: figures.map((limit) => ({ limit }) as LimitFigure) },
      decision: { ...decided.decision!, violations: [{ policy: 'limit:delegation:d:EUR', reason: 'r' }] },
    });
    expect(why(capped('money', 'delegation:d:EUR', 'few'), policyOf({}))).toBeUndefined();
    expect(why(capped('money', 'delegation:d:USD'), policyOf({}))).toMatch(/^a delegation capped/);
  });

  test.each<[string, Policy, string | undefined]>([
    ['/proposal/input/amount', policyOf({ 'a.cedar': 'context.input.amount' }), 'amount'],
    ['/proposal/input/amount', policyOf({ 'a.cedar': 'context.input.other' }), undefined],
    ['/proposal/input/items/0', policyOf({ 'a.cedar': 'context.input.items' }), 'items'],
    ['/proposal/input/a~1b~0c', policyOf({ 'a.cedar': 'context["a/b~c"]' }), 'a/b~c'],
    ['/proposal/input', policyOf({ 'limits.yaml': 'amount: input' }), 'input'],
    ['/proposal/input', policyOf({}, [{ same: ['a'] }]), 'input'],
    ['/proposal/input', policyOf({}), undefined],
    ['/proposal/traceId', policyOf({ 'limits.yaml': 'scope: trace' }), 'traceId'],
    ['/proposal/traceId', policyOf({}, [{ scope: ['task'] }]), 'traceId'],
    ['/proposal/traceId', policyOf({ 'limits.yaml': 'input' }), undefined],
    ['/proposal/reasoning', policyOf({ 'a.cedar': 'context.reasoning' }), undefined],
    ['/facts/agent/id', policyOf({ 'a.cedar': 'principal == Agent::"bot"' }), 'id'],
    ['/facts/agent/id', policyOf({ 'a.cedar': 'context.rows > 5' }), undefined],
    ['/facts/agent/owner', policyOf({ 'a.cedar': 'principal.owner' }), 'owner'],
    ['/result/amount', policyOf({ 'limits.yaml': 'settled: result.amount' }), 'amount'],
    ['/factsheet/amount', policyOf({ 'a.cedar': 'context.amount' }), undefined],
    ['/approvals/0/approver', policyOf({ 'a.cedar': 'context.approver' }), undefined],
    ['/decision/facts/amount', policyOf({ 'a.cedar': 'context.amount' }), undefined],
    ['/approvals/0/result/amount', policyOf({ 'a.cedar': 'context.amount' }), undefined],
    ['/facts', policyOf({ 'a.cedar': 'context.facts' }), 'facts'],
    ['/result', policyOf({ 'limits.yaml': 'settled: context.result' }), 'result'],
    ['/proposal/input/items/10', policyOf({ 'a.cedar': 'context.input.items' }), 'items'],
    ['/proposal/input/line1', policyOf({ 'a.cedar': 'context.input.line1' }), 'line1'],
    ['/proposal/input/2nd', policyOf({ 'a.cedar': 'context.input["2nd"]' }), '2nd'],
    ['/proposal/input/', policyOf({ 'a.cedar': 'context.input[""]' }), 'input'],
    ['/proposal/input/amount', policyOf({ 'limits.yaml': 'scope: trace' }, [{ scope: ['task'] }]), undefined],
    ['/proposal/input/amount', policyOf({ 'limits.yaml': 'amount: input' }, [{ same: ['a'] }]), undefined],
  ])('not where %s was scrubbed and is read', (pointer, policy, name) => {
    const told = name === undefined ? undefined : `the policy may read ${name}, which was scrubbed (${pointer})`;
    expect(why(recordOf({ scrubbed: ['/x', pointer] }), policy)).toBe(told);
  });
});

describe('what a recorded policy asked of its limits', () => {
  const limits = (text: string) => ({ files: { 'limits.yaml': `limits:\n${text}` } });
  const MONEY = '  money: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 100, window: 1d}\n';
  const FEW = '  few: {kind: count, scope: agent, max: 5, window: 1d}\n';
  const asked = (demand: LimitDemand): ResolvedLimit => ({ demand, atLimit: { kind: 'deny' }, label: 'l' });
  const money: LimitDemand = {
    limit: 'money',
    key: 'k',
    kind: 'budget',
    amount: 7,
    max: 50,
    unit: 'EUR',
    window: { kind: 'fixed', ms: 86_400_000 },
  };

  test('is told from what the candidate asks, where they differ in figures alone', () => {
    const translate = translation(
      limits(MONEY + FEW),
      limits(MONEY.replace('max: 100', 'max: 50').replace('1d', '1d') + FEW.replace('max: 5', 'max: 9')),
    );
    const few: LimitDemand = { limit: 'few', key: '', kind: 'count', amount: 1, max: 9, unit: 'actions' };
    const cap: LimitDemand = { limit: 'delegation:d', key: '', kind: 'count', amount: 1, max: 3, unit: 'actions' };
    expect(translate?.([asked(money), asked(few), asked(cap)]).map(({ demand }) => demand)).toEqual([
      { ...money, max: 100 },
      { ...few, max: 5, window: { kind: 'fixed', ms: 86_400_000 } },
      cap,
    ]);
  });

  test('is that of a limit without a window, or of another kind than a sum, too', () => {
    const forGood = MONEY.replace('1d', 'forever');
    const translate = translation(limits(forGood), limits(MONEY));
    expect(translate?.([asked(money)])[0]?.demand).toEqual({
      limit: 'money',
      key: 'k',
      kind: 'budget',
      amount: 7,
      max: 100,
      unit: 'EUR',
    });
    const lease = (max: number) => limits(`  one: {kind: concurrency, scope: tool, max: ${max}}\n`);
    expect(
      translation(lease(1), lease(2))?.([asked({ limit: 'one', key: '', kind: 'concurrency', max: 2 })])[0]?.demand,
    ).toEqual({ limit: 'one', key: '', kind: 'concurrency', max: 1 });
    const deep = (max: number) => limits(`  deep: {kind: depth, max: ${max}}\n`);
    expect(translation(deep(1), deep(2))?.([])).toEqual([]);
  });

  test('is the same where they are declared alike', () => {
    const one = asked(money);
    expect(translation(limits(MONEY), limits(MONEY))?.([one])[0]).toBe(one);
  });

  test.each<[string, { files: Record<string, string> }, { files: Record<string, string> }]>([
    ['one of them has no limits', { files: {} }, limits(MONEY)],
    ['the other has none', limits(MONEY), { files: {} }],
    ['a limit is new', limits(MONEY), limits(MONEY + FEW)],
    ['another amount is measured', limits(MONEY), limits(MONEY.replace('input.amount', 'input.net'))],
    ['it counts elsewhere', limits(FEW), limits(FEW.replace('scope: agent', 'scope: tool'))],
    ['it applies to others', limits(FEW), limits(FEW.replace('kind: count', 'kind: count, when: true'))],
    ['it has another unit', limits(MONEY), limits(MONEY.replace('EUR', 'USD'))],
    [
      'it is of another kind',
      limits('  a: {kind: concurrency, scope: tool, max: 1}\n'),
      limits('  a: {kind: count, scope: tool, max: 1, window: 1d}\n'),
    ],
    ['it is settled otherwise', limits(MONEY), limits(MONEY.replace('unit:', 'settled: result.paid, unit:'))],
    ['it can be read no more', limits(FEW.replace('max: 5', 'max: many')), limits(FEW)],
  ])('cannot be told from the candidate where %s', (_, before, after) => {
    expect(translation(before, after)).toBeUndefined();
  });
});

describe('two worlds', () => {
  const NOON = microsecondsOf('2025-01-01T12:00:00Z');
  const budget = (more: Partial<Extract<LimitDemand, { kind: 'budget' | 'count' }>> = {}): LimitDemand => ({
    limit: 'l',
    key: 'k',
    kind: 'budget',
    amount: 2,
    max: 10,
    unit: 'EUR',
    ...more,
  });
  const asked = (demand: LimitDemand): ResolvedLimit => ({ demand, atLimit: { kind: 'deny' }, label: 'l' });
  const figureOf = (more: Partial<LimitFigure> = {}): LimitFigure => ({
    limit: 'l',
    key: 'k',
    kind: 'budget',
    unit: 'EUR',
    max: 10,
    used: 6,
    held: 1,
    left: 3,
    fits: true,
    text: 't',
    ...more,
  });
  const ID = { tenant: 'acme', actionId: 'asks' };
  const read = (worlds: Worlds, now: LimitDemand, then: LimitDemand | undefined, figures: readonly LimitFigure[]) =>
    worlds.read(ID, [asked(now)], then === undefined ? undefined : [asked(then)], figures, NOON)[0];

  test('that do not differ read again what was read, without its words', () => {
    expect(read(new Worlds(), budget(), budget(), [figureOf()])).toEqual({
      limit: 'l',
      key: 'k',
      kind: 'budget',
      max: 10,
      used: 6,
      held: 1,
      left: 3,
      fits: true,
    });
  });

  test('read what the candidate counts, where nothing was read or it is not known what was asked', () => {
    const worlds = new Worlds();
    worlds.candidate.place('acme', 'b', budget({ amount: 9 }), NOON);
    const counted = { used: 0, held: 9, left: 1, fits: false };
    expect(read(worlds, budget(), budget(), [])).toMatchObject(counted);
    expect(read(worlds, budget(), undefined, [figureOf()])).toMatchObject(counted);
    expect(read(worlds, budget(), budget(), [figureOf({ key: 'other' })])).toMatchObject(counted);
    expect(read(worlds, budget(), budget(), [figureOf({ kind: 'count' })])).toMatchObject(counted);
    expect(read(worlds, budget(), budget({ window: { kind: 'fixed', ms: 3_600_000 } }), [figureOf()])).toMatchObject(
      counted,
    );
  });

  test('change what was read by what differs between them', () => {
    const worlds = new Worlds();
    worlds.candidate.place('acme', 'b', budget({ amount: 2 }), NOON);
    expect(read(worlds, budget(), budget(), [figureOf()])).toEqual({
      limit: 'l',
      key: 'k',
      kind: 'budget',
      max: 10,
      used: 6,
      held: 3,
      left: 1,
      fits: false,
    });
    worlds.recorded.place('acme', 'b', budget({ amount: 3 }), NOON);
    expect(read(worlds, budget(), budget(), [figureOf()])).toMatchObject({ held: 0, left: 4, fits: true });
    expect(read(worlds, budget({ max: 8 }), budget(), [figureOf({ held: 2 })])).toMatchObject({
      max: 8,
      held: 1,
      left: 1,
      fits: false,
    });
    expect(read(worlds, budget({ max: 5 }), budget(), [figureOf()])).toMatchObject({ left: 0, fits: false });
    expect(read(worlds, budget({ max: 5, amount: 0 }), budget(), [figureOf()])).toMatchObject({ left: 0, fits: true });
  });

  test('count actions and leases as they count sums', () => {
    const worlds = new Worlds();
    const count: LimitDemand = { limit: 'l', key: 'k', kind: 'count', amount: 1, max: 5, unit: 'actions' };
    worlds.candidate.place('acme', 'b', count, NOON);
    expect(read(worlds, count, count, [figureOf({ kind: 'count', used: 3, held: 0, max: 5, left: 2 })])).toMatchObject({
      used: 3,
      held: 1,
      left: 1,
      fits: true,
    });
    expect(
      read(worlds, { ...count, max: 4 }, count, [figureOf({ kind: 'count', used: 3, held: 0, max: 5, left: 2 })]),
    ).toMatchObject({ max: 4, left: 0, fits: false });
    const lease: LimitDemand = { limit: 'l', key: 'k', kind: 'concurrency', max: 3 };
    worlds.candidate.place('acme', 'b', lease, NOON);
    const held = read(worlds, lease, lease, [figureOf({ kind: 'concurrency', used: 0, held: 1, max: 3, left: 2 })]);
    expect(held).toMatchObject({ held: 2, left: 1, fits: true });
    const full = read(worlds, { ...lease, max: 2 }, lease, [
      figureOf({ kind: 'concurrency', used: 0, held: 1, max: 3, left: 2 }),
    ]);
    expect(full).toMatchObject({ fits: false });
    expect(full).not.toHaveProperty('retryAfterMs');
  });

  test('differ where what was spent or held differs, and where what is asked differs', () => {
    const worlds = new Worlds();
    worlds.candidate.place('acme', 'b', budget({ amount: 3 }), NOON);
    worlds.candidate.settle('acme', 'b', budget({ amount: 3 }), { disposition: 'consume' }, NOON);
    worlds.recorded.place('acme', 'b', budget({ amount: 3 }), NOON);
    // As much is left in both, of which one has it spent and the other held.
    expect(read(worlds, budget(), budget(), [figureOf({ used: 6, held: 4, left: 0 })])).toMatchObject({
      used: 9,
      held: 1,
      left: 0,
      fits: false,
    });
    worlds.recorded.settle('acme', 'b', budget({ amount: 3 }), { disposition: 'consume', spent: 5 }, NOON);
    expect(read(worlds, budget(), budget(), [figureOf({ used: 6, held: 1, left: 3 })])).toMatchObject({
      used: 4,
      held: 1,
      left: 5,
    });
    expect(read(new Worlds(), budget({ amount: 4 }), budget(), [figureOf()])).toMatchObject({ left: 3, fits: false });
    expect(read(new Worlds(), budget({ amount: 3 }), budget(), [figureOf()])).toMatchObject({ left: 3, fits: true });
  });

  test('of another kind of window are counted by the candidate alone', () => {
    const worlds = new Worlds();
    const none = { used: 0, held: 0, left: 10 };
    const day = 86_400_000;
    expect(
      read(
        worlds,
        budget({ window: { kind: 'fixed', ms: day, timezone: 'Europe/Berlin' } }),
        budget({ window: { kind: 'fixed', ms: day } }),
        [figureOf()],
      ),
    ).toMatchObject(none);
    expect(
      read(
        worlds,
        budget({ window: { kind: 'sliding', ms: 32 * day } }),
        budget({ window: { kind: 'fixed', ms: day } }),
        [figureOf()],
      ),
    ).toMatchObject(none);
    const sliding = { window: { kind: 'sliding', ms: day } } as const;
    expect(
      read(worlds, budget({ max: 8, ...sliding }), budget(sliding), [figureOf({ fits: false, retryAfterMs: 5 })]),
    ).toMatchObject({ fits: false, retryAfterMs: 5 });
  });

  test('of a breaker read what was read, as long as both stand alike', () => {
    const breaker: LimitDemand = {
      limit: 'l',
      key: 'k',
      kind: 'breaker',
      windowMs: 3_200_000,
      minimum: 1,
      ratio: 1,
      openMs: 60_000,
      probes: 1,
    };
    const worlds = new Worlds();
    const known = [figureOf({ kind: 'breaker', used: 0, held: 0, max: 1, left: 1, state: 'half_open' })];
    expect(read(worlds, breaker, breaker, known)).toMatchObject({ state: 'half_open' });
    worlds.candidate.place('acme', 'b', breaker, NOON);
    worlds.candidate.settle('acme', 'b', breaker, { disposition: 'consume', result: 'bad' }, NOON);
    expect(read(worlds, breaker, breaker, known)).toMatchObject({ state: 'open', fits: false });
    worlds.recorded.place('acme', 'b', breaker, NOON - 1000);
    worlds.recorded.settle('acme', 'b', breaker, { disposition: 'consume', result: 'bad' }, NOON - 1_000_000);
    expect(read(worlds, breaker, breaker, known)).toMatchObject({ state: 'open', retryAfterMs: 60_000 });
  });

  test('of a breaker differ where one lets through to try, and the other has never opened', () => {
    const breaker: LimitDemand = {
      limit: 'l',
      key: 'k',
      kind: 'breaker',
      windowMs: 3_200_000,
      minimum: 1,
      ratio: 1,
      openMs: 60_000,
      probes: 1,
    };
    const worlds = new Worlds();
    const long = NOON - 40 * 100_000_000;
    worlds.candidate.place('acme', 'b', breaker, long);
    worlds.candidate.settle('acme', 'b', breaker, { disposition: 'consume', result: 'bad' }, long);
    const known = [figureOf({ kind: 'breaker', used: 0, held: 0, max: 1, left: 1, state: 'closed' })];
    expect(read(worlds, breaker, breaker, known)).toMatchObject({ used: 0, held: 0, left: 1, state: 'half_open' });
  });

  test('say when there is room again of as much as the maximum, and for leases not', () => {
    const window = { kind: 'fixed', ms: 7_200_000 } as const;
    const full = [figureOf({ fits: false, retryAfterMs: 5 })];
    expect(read(new Worlds(), budget({ max: 8, amount: 8, window }), budget({ window }), full)).toMatchObject({
      fits: false,
      retryAfterMs: 7_200_000,
    });
    const lease = (max: number): LimitDemand => ({ limit: 'l', key: 'k', kind: 'concurrency', max });
    const held = [figureOf({ kind: 'concurrency', used: 0, held: 3, max: 3, left: 0, fits: false })];
    expect(read(new Worlds(), lease(2), lease(3), held)).toStrictEqual({
      limit: 'l',
      key: 'k',
      kind: 'concurrency',
      max: 2,
      used: 0,
      held: 3,
      left: 0,
      fits: false,
    });
  });

  test('say when there is room again: as counted, with the end of the window, or as was read', () => {
    const window = { kind: 'fixed', ms: 7_200_000 } as const;
    const worlds = new Worlds();
    expect(
      read(worlds, budget({ max: 8, window }), budget({ window }), [figureOf({ fits: false, retryAfterMs: 5 })]),
    ).toMatchObject({ fits: false, retryAfterMs: 7_200_000 });
    expect(
      read(worlds, budget({ max: 1, window }), budget({ window }), [figureOf({ fits: false, retryAfterMs: 5 })]),
    ).toMatchObject({ fits: false, retryAfterMs: 5 });
    expect(read(worlds, budget({ max: 8 }), budget(), [figureOf({ fits: false, retryAfterMs: 5 })])).toMatchObject({
      fits: false,
      retryAfterMs: 5,
    });
    expect(read(worlds, budget({ max: 8 }), budget(), [figureOf({ fits: false })])).not.toHaveProperty('retryAfterMs');
    expect(
      read(worlds, budget({ max: 20, window }), budget({ window }), [figureOf({ retryAfterMs: 5 })]),
    ).not.toHaveProperty('retryAfterMs');
  });

  test('count a rate of another size from what the candidate counts alone', () => {
    const rate = (capacity: number): LimitDemand => ({ limit: 'l', key: 'k', kind: 'rate', capacity, refillMs: 1000 });
    const worlds = new Worlds();
    expect(
      read(worlds, rate(3), rate(2), [figureOf({ kind: 'rate', used: 2, held: 0, max: 2, left: 0 })]),
    ).toMatchObject({ used: 0, left: 3 });
    expect(
      read(worlds, rate(2), rate(2), [figureOf({ kind: 'rate', used: 2, held: 0, max: 2, left: 0, fits: false })]),
    ).toMatchObject({ used: 2, left: 0, fits: false });
  });
});
