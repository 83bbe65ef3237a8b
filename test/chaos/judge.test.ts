/** The judge on evidence written by hand: each fault is found, and what is honest is not taken for one. */
import { expect, test } from 'vitest';
import { judge, passes } from '../../chaos/judge.js';
import type { Effect, Evidence, HeldAmount, Recorded } from '../../chaos/evidence.js';

const AT = '2026-01-01T00:00:00.000Z';
const at = (seconds: number): string => new Date(Date.parse(AT) + seconds * 1000).toISOString();

function effect(actionId: string, more: Partial<Effect> = {}): Effect {
  const content = { account: 'a', amount: 10 };
  return {
    system: 'payments',
    what: 'pay',
    actionId,
    content,
    amount: 10,
    at: AT,
    where: `payments ${actionId}`,
    ...more,
  };
}

function hold(actionId: string, more: Partial<HeldAmount> = {}): HeldAmount {
  return { actionId, limit: 'paid', key: '', kind: 'budget', amount: 10, status: 'consumed', placedAt: AT, ...more };
}

/** One payment of 10 for each status, with the effects and holds that are right for it, within a budget of 100. */
function evidence(statuses: Readonly<Record<string, Recorded['status']>>, more: Partial<Evidence> = {}): Evidence {
  const ids = Object.keys(statuses);
  const done = ids.filter((id) => statuses[id] === 'success');
  const recorded = ids.map((actionId) => ({
    actionId,
    digest: `of ${actionId}`,
    status: statuses[actionId] ?? ('open' as const),
    uses: 1,
    resolved: false,
  }));
  return {
    proposed: ids.map((actionId) => ({
      actionId,
      digest: `of ${actionId}`,
      agent: `agent of ${actionId}`,
      intent: { what: 'pay', content: { account: 'a', amount: 10 }, amount: 10 },
    })),
    effects: done.map((id) => effect(id)),
    sends: done.map((actionId) => ({ actionId, where: `payments at ${AT}` })),
    recorded,
    told: recorded.map(({ actionId, digest, status }) => ({ actionId, digest, answer: status })),
    holds: done.map((id) => hold(id)),
    counters: [{ limit: 'paid', key: '', kind: 'budget', used: done.length * 10, held: 0 }],
    budgets: [{ limit: 'paid', counts: ['pay'], per: 'tenant', max: 100 }],
    freezes: [],
    receipts: {
      valid: true,
      problems: [],
      claims: recorded
        .filter(({ status }) => status !== 'open')
        .map(({ actionId, status }) => ({ actionId, status, tenant: 'chaos' })),
    },
    terminated: [],
    ...more,
  };
}

const faults = (given: Evidence): readonly string[] => judge(given).findings.map(({ fault }) => fault);

test('every outcome is counted, and honest ones are no fault', () => {
  const verdict = judge(
    evidence({ a: 'success', b: 'denied', c: 'mismatch', d: 'unknown', e: 'failed', f: 'cancelled', g: 'expired' }),
  );
  expect(verdict.findings).toEqual([]);
  expect(passes(verdict)).toBe(true);
  expect(verdict).toMatchObject({
    proposed: 7,
    succeeded: 1,
    denied: 1,
    mismatch: 1,
    unknown: 1,
    failed: 1,
    cancelled: 1,
    expired: 1,
  });
});

test('a success without its effect is lost', () => {
  expect(faults(evidence({ a: 'success' }, { effects: [] }))).toEqual(['lost']);
});

test('a proposal without an outcome is lost, whether the ledger has it open or not at all', () => {
  expect(faults(evidence({ a: 'open' }))).toEqual(['lost']);
  expect(faults(evidence({ a: 'denied' }, { recorded: [], told: [] }))).toEqual(['lost']);
});

test('a refusal of a proposer nobody knows, in a chain of its own, is an outcome', () => {
  const claims = [{ actionId: 'a', status: 'denied', tenant: '_unauthenticated' }];
  const given = evidence({ a: 'denied' }, { recorded: [], receipts: { valid: true, problems: [], claims } });
  expect(faults(given)).toEqual([]);
  expect(judge(given).denied).toBe(1);
});

test('two effects of one action are a duplicate, whatever its outcome', () => {
  for (const status of ['success', 'mismatch', 'unknown', 'failed'] as const) {
    const given = evidence(
      { a: status },
      { effects: [effect('a'), effect('a', { where: 'elsewhere' })], holds: [hold('a')] },
    );
    expect(faults(given)).toContain('duplicated');
  }
});

test.each(['failed', 'denied', 'cancelled', 'expired'] as const)(
  'an effect of an action that is %s is unexplained',
  (status) => {
    expect(faults(evidence({ a: status }, { effects: [effect('a')] }))).toContain('unexplained');
  },
);

test.each(['mismatch', 'unknown'] as const)('one effect of an action that is %s is explained', (status) => {
  const kept = status === 'unknown';
  const given = evidence(
    { a: status },
    {
      effects: [effect('a')],
      holds: [hold('a', { status: kept ? 'kept' : 'consumed' })],
      counters: [{ limit: 'paid', key: '', kind: 'budget', used: kept ? 0 : 10, held: kept ? 10 : 0 }],
    },
  );
  expect(faults(given)).toEqual([]);
});

test('an effect that nobody proposed is unexplained', () => {
  const given = evidence({ a: 'success' });
  expect(faults({ ...given, effects: [...given.effects, effect('stranger')] })).toEqual(['unexplained']);
});

test('another effect than the one that was granted is unexplained', () => {
  const given = evidence({ a: 'success' }, { effects: [effect('a', { content: { account: 'b', amount: 10 } })] });
  expect(faults(given)).toEqual(['unexplained']);
});

test('more than a budget allows is overspent, even when every single action was in order', () => {
  const given = evidence(Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`a${i}`, 'success' as const])));
  expect(faults(given)).toEqual(['overspent']);
});

test('a sliding window is overspent by what falls into any one of them, and by nothing else', () => {
  const ids = ['a', 'b', 'c'];
  const budgets = [{ limit: 'paid', counts: ['pay'], per: 'tenant' as const, max: 20, windowMs: 10_000 }];
  const spread = (seconds: readonly number[]): Evidence =>
    evidence(Object.fromEntries(ids.map((id) => [id, 'success' as const])), {
      budgets,
      counters: [],
      holds: ids.map((id, i) => hold(id, { placedAt: at(seconds[i] ?? 0) })),
    });
  expect(faults(spread([0, 5, 9]))).toEqual(['overspent']);
  expect(faults(spread([0, 5, 10]))).toEqual([]);
});

test("a budget for each agent does not add up different agents' spending", () => {
  const given = evidence(
    { a: 'success', b: 'success' },
    { budgets: [{ limit: 'paid', counts: ['pay'], per: 'agent', max: 10 }] },
  );
  expect(faults(given)).toEqual([]);
});

test('what was spent without a hold, or with one that was given back, is unexplained', () => {
  expect(faults(evidence({ a: 'success' }, { holds: [], counters: [] }))).toEqual(['unexplained']);
  expect(faults(evidence({ a: 'success' }, { holds: [hold('a', { status: 'released' })], counters: [] }))).toContain(
    'unexplained',
  );
});

test('a hold that is still there after a certain end has leaked', () => {
  const counters = [{ limit: 'paid', key: '', kind: 'budget', used: 0, held: 10 }];
  expect(faults(evidence({ a: 'failed' }, { holds: [hold('a', { status: 'held' })], counters }))).toEqual([
    'unexplained',
  ]);
});

test('a counter that says another sum than its holds is unexplained', () => {
  const counters = [{ limit: 'paid', key: '', kind: 'budget', used: 5, held: 0 }];
  expect(faults(evidence({ a: 'success' }, { counters }))).toEqual(['unexplained']);
});

test('an agent that was told another end than the recorded one was misled', () => {
  const told = [{ actionId: 'a', digest: 'of a', answer: 'failed' }];
  expect(faults(evidence({ a: 'success' }, { told }))).toEqual(['unexplained']);
});

test('an outcome without a receipt, or with one that says something else, is found', () => {
  const none = { valid: true, problems: [], claims: [] };
  expect(judge(evidence({ a: 'denied' }, { receipts: none })).receiptsValid).toBe(false);
  const other = { ...none, claims: [{ actionId: 'a', status: 'success', tenant: 'chaos' }] };
  expect(judge(evidence({ a: 'denied' }, { receipts: other })).receiptsValid).toBe(false);
});

test('an action that was decided by a policy which nobody put in force is unexplained', () => {
  const honest = evidence({ a: 'success', b: 'denied' });
  const [a, b] = honest.receipts.claims.map((claim) => ({ ...claim, policy: `policy of ${claim.actionId}` }));
  const decided = { ...honest, receipts: { ...honest.receipts, claims: [a, b].flatMap((one) => one ?? []) } };
  expect(faults(decided)).toEqual([]);
  expect(faults({ ...decided, inForce: ['policy of a', 'policy of b'] })).toEqual([]);
  expect(judge({ ...decided, inForce: ['policy of a'] }).findings).toMatchObject([
    { fault: 'unexplained', actionId: 'b', what: expect.stringContaining('policy of b') },
  ]);
});

test('a chain of receipts that does not verify fails the run by itself', () => {
  const verdict = judge(
    evidence({ a: 'denied' }, { receipts: { ...evidence({ a: 'denied' }).receipts, valid: false } }),
  );
  expect(verdict.receiptsValid).toBe(false);
  expect(passes(verdict)).toBe(false);
});

test('an effect that came in under a freeze is unexplained; one that was on its way is not', () => {
  const freezes = [{ scope: 'tool payments', system: 'payments', from: AT, until: at(60) }];
  const during = (seconds: number): Evidence =>
    evidence({ a: 'success' }, { freezes, effects: [effect('a', { at: at(seconds) })] });
  expect(faults(during(10))).toEqual(['unexplained']);
  expect(faults(during(1))).toEqual([]);
  expect(faults(during(61))).toEqual([]);
});

test('an action that was sent more often than the bound allows is oversent, whatever its outcome', () => {
  const sent = (times: number): Evidence =>
    evidence(
      { a: 'failed' },
      { sends: Array.from({ length: times }, (_, n) => ({ actionId: 'a', where: `payments at ${at(n)}` })) },
    );
  expect(faults(sent(5))).toEqual([]);
  expect(faults(sent(6))).toEqual(['oversent']);
  expect(passes(judge(sent(6)))).toBe(false);
});
