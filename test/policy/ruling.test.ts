/** Policy and limits together: limits stop what policy allows, add what people must approve, and let wait; they never allow what policy denies. */
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import type { LimitReading } from '../../src/action/limits.js';
import {
  anyLimit,
  deniedAtLimit,
  evaluate,
  NO_LIMITS_APPLY,
  resolveHistory,
  resolveLimits,
  ruleOnLimits,
  type Policy,
} from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { limited, readingOf } from './limits-example.js';

const COUNT = 'kind: count, scope: agent, max: 10, window: 1d';
const FULL = { used: 10, left: 0, fits: false, retryAfterMs: 60_000 } as const;
const ASK =
  '@id("ask") @reason("large") @approval("dba") forbid (principal, action, resource) when { context.rows > 100 };';

function rule(
  policy: Policy,
  facts: Facts = factsOf(),
  read: Readonly<Record<string, Partial<LimitReading>>> = {},
  honourable?: Parameters<typeof ruleOnLimits>[4],
) {
  const resolved = resolveLimits(policy, facts, { input: { amount: 5 } });
  const readings = resolved.limits.map((one) => readingOf(one, read[one.demand.limit]));
  return ruleOnLimits(policy, facts, resolved, readings, honourable);
}

describe('where no limit applies', () => {
  test('the decision is that of policy, nothing is held, and the facts say nothing of limits', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
    const ruling = rule(policy);
    expect(ruling).toEqual({
      facts: factsOf(),
      decision: evaluate(policy, factsOf()),
      holds: [],
      measured: [],
    });
    expect(anyLimit(NO_LIMITS_APPLY)).toBe(false);
  });
});

describe('where limits apply', () => {
  test('the facts have their figures, and what fits is held', () => {
    const ruling = rule(
      limited(
        `few: {${COUNT}}\nmoney: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 9, window: 1d}`,
      ),
    );
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.facts.limits?.map(({ limit }) => limit)).toEqual(['few', 'money']);
    expect(ruling.holds.map(({ limit, kind }) => [limit, kind])).toEqual([
      ['few', 'count'],
      ['money', 'budget'],
    ]);
    expect(ruling.holds.every((hold) => !('over' in hold))).toBe(true);
    expect(ruling.measured).toMatchObject([{ unit: 'EUR', amount: 5 }]);
    expect(ruling).not.toHaveProperty('queue');
    expect(ruling).not.toHaveProperty('problem');
    expect(ruling).not.toHaveProperty('history');
  });

  test('what policy denies holds nothing, waits for nothing, and is not asked of the tool', () => {
    const policy = limited(`few: {${COUNT}, atLimit: queue for 5m}`, {
      'no.cedar': '@id("no") forbid (principal, action, resource);',
    });
    const ruling = rule(policy, factsOf(), { few: FULL }, () => {
      throw new Error('It was asked.');
    });
    expect(ruling).toMatchObject({ decision: { effect: 'deny', code: 'POLICY_DENIED', policies: ['no'] }, holds: [] });
    expect(ruling).not.toHaveProperty('queue');
    expect(ruling.facts.limits).toHaveLength(1);
  });

  test('a tool that cannot honour the constraints refuses before anything is held', () => {
    const policy = policyFromText({
      'a.cedar': '@id("a") @constraint("maxRows=5") permit (principal, action, resource);',
    });
    const asked: unknown[] = [];
    expect(rule(policy, factsOf(), {}, (constraints) => void asked.push(constraints)).decision.effect).toBe('allow');
    expect(asked).toEqual([[{ name: 'maxRows', value: 5, policy: 'a' }]]);
    const refuse = () => {
      throw new Error('It has no ceiling.');
    };
    expect(() => rule(policy, factsOf(), {}, refuse)).toThrow('It has no ceiling.');
  });

  test('a limit that denies gives the decision its code, its reason and what to do about it', () => {
    const ruling = rule(limited(`few: {${COUNT}}`), factsOf(), { few: FULL });
    expect(ruling.decision).toMatchObject({
      effect: 'deny',
      code: 'LIMIT_EXCEEDED',
      reason: expect.stringContaining('few agent=test-agent: 1 actions asked'),
      policies: ['permit-all'],
      violations: [{ policy: 'limit:few' }],
      requirements: [],
    });
    expect(ruling.problem).toEqual({
      field: 'limits.few agent=test-agent',
      expected: 'at most 0 actions',
      fix: expect.stringContaining('Try again in 1m'),
    });
    expect(ruling.holds).toEqual([]);
  });

  test('a limit that denies stops also what people would be asked about: nobody is asked in vain', () => {
    const policy = limited(`few: {${COUNT}}`, { 'ask.cedar': ASK });
    const facts = factsOf({ preview: { rows: 101 } });
    expect(rule(policy, facts).decision.effect).toBe('require_approval');
    const { decision } = rule(policy, facts, { few: FULL });
    expect(decision).toMatchObject({
      effect: 'deny',
      requirements: [],
      violations: [{ policy: 'ask' }, { policy: 'limit:few' }],
    });
  });

  test('a breaker that is open says so by its code', () => {
    const policy = limited('broken: {kind: breaker, scope: tool, window: 5m, minimum: 1, ratio: 1, open: 1m}');
    expect(rule(policy, factsOf(), { broken: { fits: false, state: 'open' } }).decision.code).toBe('BREAKER_OPEN');
  });

  test('a limit that lets wait is told, the decision stays, and nothing is held', () => {
    const ruling = rule(limited(`few: {${COUNT}, atLimit: queue for 5m}`), factsOf(), { few: FULL });
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.queue).toMatchObject({ kind: 'queue', maxWaitMs: 300_000, retryAfterMs: 60_000 });
    expect(ruling.queue).not.toHaveProperty('inVain');
    expect(ruling.holds).toEqual([]);
  });

  test('a limit that people may lift adds what they must do, and is held over it, it alone', () => {
    const policy = limited(`few: {${COUNT}, atLimit: "approve by finance, quorum=2"}\nother: {${COUNT}}`, {
      'ask.cedar': ASK,
    });
    const ruling = rule(policy, factsOf(), { few: FULL });
    expect(ruling.decision).toMatchObject({
      effect: 'require_approval',
      reason: 'few: 1 actions asked, more than is left of 10 actions',
      requirements: [{ policy: 'limit:few', roles: ['finance'], quorum: 2 }],
    });
    expect(ruling.holds.map((hold) => [hold.limit, 'over' in hold && hold.over])).toEqual([
      ['few', true],
      ['other', false],
    ]);
    const both = rule(policy, factsOf({ preview: { rows: 101 } }), { few: FULL }).decision;
    expect(both.requirements.map((one) => one.policy)).toEqual(['ask', 'limit:few']);
    expect(both.reason).toBe('ask: large; few: 1 actions asked, more than is left of 10 actions');
  });

  test('a chain of agents that is too long is denied, whatever the counters say', () => {
    const facts = factsOf({ agent: { id: 'c', via: ['a', 'b'] } });
    const ruling = rule(limited(`deep: {kind: depth, max: 1}\nfew: {${COUNT}}`), facts);
    expect(ruling.decision).toMatchObject({ effect: 'deny', code: 'LIMIT_EXCEEDED' });
    expect(ruling.decision.violations).toMatchObject([{ policy: 'limit:deep' }]);
    expect(ruling.decision.reason).toBe(ruling.decision.violations[0]?.reason);
    expect(ruling.holds).toEqual([]);
    expect(ruling).not.toHaveProperty('problem');
    // The count is one of each agent in the chain.
    expect(ruling.facts.limits?.map(({ limit }) => limit)).toEqual(['deep', 'few', 'few', 'few']);
    expect(rule(limited('deep: {kind: depth, max: 2}'), facts).decision.effect).toBe('allow');
  });

  test('a limit of depth alone is a limit that applies', () => {
    const policy = limited('deep: {kind: depth, max: 3}');
    const resolved = resolveLimits(policy, factsOf(), { input: {} });
    expect(anyLimit(resolved)).toBe(true);
    expect(anyLimit({ ...resolved, depths: [], exceeded: [{ policy: 'limit:x', reason: 'r' }] })).toBe(true);
  });

  test('a denial at a limit keeps what the decision had found, and adds to it', () => {
    const decision = evaluate(policyFromText({ 'a.cedar': PERMIT_ALL + ASK }), factsOf({ preview: { rows: 101 } }));
    expect(deniedAtLimit(decision, 'BREAKER_OPEN', 'why')).toEqual({
      ...decision,
      effect: 'deny',
      code: 'BREAKER_OPEN',
      reason: 'why',
      requirements: [],
    });
  });
});

describe('what waits for earlier actions', () => {
  const HISTORY = `
history:
  tested: { of: { tool: ci }, scope: tenant, within: 4h, wait: 2m }
  scanned: { of: { tool: scanner }, scope: tenant, within: 4h, wait: 1m }
  signed: { of: { tool: signer }, scope: tenant, within: 4h }
`;
  const after = (fact: string) =>
    `@id("after-${fact}") forbid (principal, action, resource) unless { context.history.${fact}.done >= 1 };\n`;
  const FILES = { 'history.yaml': HISTORY, 'after.cedar': after('tested') };
  const UNDER_WAY = { underWay: 1, possible: 1 };
  const DONE = { done: 1, possible: 1 };

  const ruled = (
    policy: Policy,
    found: Readonly<Record<string, { done?: number; underWay?: number; possible?: number }>>,
    read: Readonly<Record<string, Partial<LimitReading>>> = {},
  ) => {
    const facts = factsOf();
    const resolved = resolveLimits(policy, facts, { input: {} });
    const asked = resolveHistory(policy.history, facts, { input: {} });
    const readings = policy.history.facts.map(({ id }) => ({
      fact: id,
      done: 0,
      underWay: 0,
      possible: 0,
      ...found[id],
    }));
    const limits = resolved.limits.map((one) => readingOf(one, read[one.demand.limit]));
    return ruleOnLimits(policy, facts, resolved, limits, undefined, { ...asked, readings });
  };
  const policyAfter = (...facts: string[]) =>
    limited(`few: {${COUNT}, atLimit: queue for 90s}`, { ...FILES, 'after.cedar': facts.map(after).join('') });

  test('keeps the decision that it would get, and the one that it gets where it waits in vain; nothing is held', () => {
    const ruling = ruled(policyAfter('tested'), { tested: UNDER_WAY });
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.queue).toEqual({
      kind: 'queue',
      reason: 'tested: 0 done, 1 under way',
      maxWaitMs: 120_000,
      retryAfterMs: 500,
      inVain: expect.objectContaining({ effect: 'deny', policies: ['after-tested'] }),
    });
    expect(ruling.holds).toEqual([]);
    expect(ruling.history).toBeUndefined();
  });

  test('waits for room as well, for the shorter of both times, and looks again after the longer pause', () => {
    const ruling = ruled(policyAfter('tested'), { tested: UNDER_WAY }, { few: { ...FULL, retryAfterMs: 9000 } });
    expect(ruling.queue).toMatchObject({
      reason: expect.stringMatching(/^tested: 0 done, 1 under way; few agent=test-agent: 1 actions asked/),
      maxWaitMs: 90_000,
      retryAfterMs: 9000,
      inVain: { effect: 'deny' },
    });
  });

  test('is denied at once where a limit denies it anyway', () => {
    const policy = limited(`few: {${COUNT}}`, FILES);
    const ruling = ruled(policy, { tested: UNDER_WAY }, { few: FULL });
    expect(ruling.decision).toMatchObject({ effect: 'deny', code: 'LIMIT_EXCEEDED' });
    expect(ruling.queue).toBeUndefined();
  });

  test('waits only for what it needs, as long as the least patient of these', () => {
    const both = { tested: UNDER_WAY, scanned: UNDER_WAY };
    expect(ruled(policyAfter('tested'), both).queue).toMatchObject({
      reason: 'tested: 0 done, 1 under way',
      maxWaitMs: 120_000,
    });
    expect(ruled(policyAfter('tested', 'scanned'), both).queue).toMatchObject({
      reason: 'tested: 0 done, 1 under way; scanned: 0 done, 1 under way',
      maxWaitMs: 60_000,
    });
  });

  test('does not wait where it needs nothing that is under way', () => {
    const ruling = ruled(policyAfter('tested'), { tested: { done: 1, underWay: 1, possible: 2 } });
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.queue).toBeUndefined();
    expect(ruling.holds).toHaveLength(1);
  });

  test('names all of them that are under way where either would do, and no other', () => {
    const either =
      '@id("either") forbid (principal, action, resource) unless { context.history.tested.done >= 1 || context.history.scanned.done >= 1 };';
    const least = '  reviewed: { of: { tool: review }, scope: tenant, within: 4h, wait: 1s }\n';
    const files = { 'history.yaml': HISTORY + least, 'all.cedar': PERMIT_ALL, 'after.cedar': either };
    const ruling = ruled(policyFromText(files), { tested: UNDER_WAY, scanned: UNDER_WAY });
    expect(ruling.queue).toMatchObject({
      reason: 'tested: 0 done, 1 under way; scanned: 0 done, 1 under way',
      maxWaitMs: 60_000,
    });
  });

  test('is denied where it would be denied afterwards too, nothing is under way, or the fact lets nothing wait', () => {
    for (const [policy, found] of [
      [policyAfter('tested', 'signed'), { tested: UNDER_WAY }],
      [policyAfter('signed'), { signed: UNDER_WAY }],
      [policyAfter('tested'), { tested: { possible: 1 } }],
    ] as const) {
      const ruling = ruled(policy, found);
      expect(ruling.decision.effect).toBe('deny');
      expect(ruling.queue).toBeUndefined();
    }
  });

  test('is denied where nobody looked what came before', () => {
    const ruling = ruleOnLimits(policyAfter('tested'), factsOf(), NO_LIMITS_APPLY, []);
    expect(ruling.decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
    expect(ruling.queue).toBeUndefined();
  });

  test('is denied for all that stands against it where waiting would not help', () => {
    const ruling = ruled(policyAfter('tested', 'signed'), { tested: UNDER_WAY });
    expect(ruling.decision.policies).toEqual(['after-signed', 'after-tested']);
  });

  test('counts no more than can be told apart', () => {
    const many = 'forbid (principal, action, resource) unless { context.history.tested.done >= 100 };';
    const policy = policyFromText({ ...FILES, 'all.cedar': PERMIT_ALL, 'after.cedar': `@id("many") ${many}` });
    expect(ruled(policy, { tested: { done: 60, underWay: 60, possible: 100 } }).queue).toMatchObject({ kind: 'queue' });
    expect(ruled(policy, { tested: { done: 60, underWay: 39, possible: 100 } }).queue).toBeUndefined();
  });

  test('relies, once it is allowed, on what the rules compare; a decision that compares nothing relies on nothing', () => {
    const ruling = ruled(policyAfter('tested'), { tested: DONE });
    expect(ruling.decision.effect).toBe('allow');
    expect(ruling.history?.checks).toMatchObject([{ fact: 'tested', doneIn: [1, 1] }]);
    expect(ruling.history?.checks[0]).not.toHaveProperty('possibleIn');
    expect(ruling.holds).toHaveLength(1);
    const none = policyFromText({ 'history.yaml': HISTORY, 'all.cedar': PERMIT_ALL });
    expect(ruled(none, {})).not.toHaveProperty('history');
  });
});
