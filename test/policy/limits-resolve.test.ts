/** The limits that apply to an action and its demands: keys cannot be imitated, limits not evaded, nothing is unbounded, errors deny. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import { CountersignError } from '../../src/action/errors.js';
import type { JsonObject } from '../../src/action/json.js';
import type { BudgetDemand } from '../../src/action/limits.js';
import type { Authority, DelegationCap } from '../../src/action/principal.js';
import { resolveLimits, settledAmounts, type Policy, type ResolvedLimits } from '../../src/policy/index.js';
import { keysOf } from '../../src/policy/limits/keys.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { EXAMPLE, limited, oneLimit, refundFacts } from './limits-example.js';

const policy = policyFromText({ 'limits.yaml': EXAMPLE, 'permit.cedar': PERMIT_ALL });

function capped(...caps: DelegationCap[]): Authority {
  return { credentials: ['root', ...caps.map(({ jti }) => jti)], caps, above: [] };
}

function counters({ limits }: ResolvedLimits): readonly string[] {
  return limits.map(({ demand }) => `${demand.limit} ${demand.key}`.trim());
}

/** Returns the value, or the refusal that was thrown. Any other error fails the test. */
function attempt<Value>(run: () => Value): Value | CountersignError {
  try {
    return run();
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'POLICY_ERROR') return error;
    throw error;
  }
}

function refusal(policy: Policy, facts: Facts, input: JsonObject): CountersignError {
  const error = attempt(() => resolveLimits(policy, facts, { input }));
  if (error instanceof CountersignError) return error;
  throw new Error('it was accepted');
}

const countable = (amount: number): boolean => Number.isFinite(amount) && amount >= 0;

const amountOf = (expression: string): Policy =>
  limited(
    `one:\n  kind: budget\n  scope: agent\n  unit: EUR\n  max: 500\n  window: forever\n  amount: ${JSON.stringify(expression)}`,
  );

function amounts({ limits }: ResolvedLimits): readonly number[] {
  return limits.map(({ demand }) => (demand as BudgetDemand).amount);
}

describe('an action', () => {
  test('has the limits whose condition is true, in the order of the file', () => {
    const resolved = resolveLimits(policy, refundFacts, { input: { amount: 120 }, traceId: 'task-7' });
    expect(counters(resolved)).toEqual([
      'refunds-per-day agent=billing-bot',
      'calls-per-task tool=payments,trace=task-7',
      'writes-per-minute agent=billing-bot',
      'payments-at-once tool=payments',
      'failing-target tool=payments,target=post%20%2Frefunds',
    ]);
    expect(resolved.limits.map(({ demand }) => demand)).toMatchObject([
      { kind: 'budget', amount: 120, max: 500, unit: 'EUR', window: { kind: 'fixed', ms: 86_400_000 } },
      { kind: 'count', amount: 1, max: 50, unit: 'actions' },
      { kind: 'rate', capacity: 10, refillMs: 2000 },
      { kind: 'concurrency', max: 5 },
      { kind: 'breaker', windowMs: 300_000, minimum: 10, ratio: 0.5, openMs: 60_000, probes: 2 },
    ]);
    expect(resolved.limits[1]?.demand).not.toHaveProperty('window');
    expect(resolved.limits[0]?.label).toBe('refunds-per-day agent=billing-bot');
    expect(resolved.exceeded).toEqual([]);
    expect(resolved.depths.map(({ text, fits }) => [text, fits])).toEqual([
      ['short-chains: 0 of 3 delegations deep', true],
    ]);
  });

  test('has the same demands each time', () => {
    const facts = { ...refundFacts, preview: { ...refundFacts.preview, targets: ['b', 'a', 'c'] } };
    const ask = () => JSON.stringify(resolveLimits(policy, facts, { input: { amount: 1 } }));
    expect(ask()).toBe(ask());
  });

  test('costs nothing without limits, and has none of a hundred limits for other actions', () => {
    const none = policyFromText({ 'permit.cedar': PERMIT_ALL });
    const resolved = resolveLimits(none, refundFacts, { input: {} }, capped());
    expect(resolved).toEqual({ limits: [], exceeded: [], depths: [], measured: [] });
    expect(resolveLimits(none, factsOf(), { input: { a: 1 } })).toBe(resolved);
    const many = limited(
      Array.from(
        { length: 100 },
        (_, i) => `l${i}: {kind: concurrency, scope: agent, max: 1, when: 'tool.name == "t${i}"'}`,
      ).join('\n'),
    );
    expect(resolveLimits(many, refundFacts, { input: {} }).limits).toEqual([]);
  });

  test('exposes what the docs list, and nothing else', () => {
    const reads = (when: string, facts = refundFacts): number =>
      resolveLimits(oneLimit(`kind: depth, max: 9, when: ${JSON.stringify(when)}`), facts, { input: { a: null } })
        .depths.length;
    const agent = { ...refundFacts.agent, owner: 'ann', via: ['root', 'middle'], roles: ['billing'] };
    for (const when of [
      'agent.id == "billing-bot" && agent.tenant == "acme" && "billing" in agent.roles && agent.owner == "ann"',
      'agent.via == ["root", "middle"]',
      'tool == {"name": "payments", "kind": "http", "environment": "production"}',
      'actionType == "CALL_API" && operation == "refund" && trace == ""',
      'preview == {"rows": 1, "targets": ["post /refunds"], "reads": [], "schemaChange": false}',
      'has(input.a) && input.a == null && !has(input.b)',
    ])
      expect([when, reads(when, { ...refundFacts, agent })]).toEqual([when, 1]);
    expect(reads('has(agent.owner)')).toBe(0);
    expect(reads('has(agent.scopes) || has(preview.sample) || has(preview.summary)')).toBe(0);
    expect(reads('size(agent.via) == 0')).toBe(1);
  });
});

describe('keys', () => {
  const WHOSE = { agent: 'a', first: 'a', traceId: 't' };
  test('of values with commas, equal signs, percent signs or spaces are unique', () => {
    const keys = (targets: readonly string[], id = 'a'): readonly string[] =>
      keysOf(['agent', 'target'], factsOf({ preview: { targets } }), { agent: id, first: id });
    expect(keys(['x,agent=b', 'y=z', '100%', ' '])).toEqual([
      'agent=a,target=x%2Cagent%3Db',
      'agent=a,target=y%3Dz',
      'agent=a,target=100%25',
      'agent=a,target=%20',
    ]);
    const text = fc.string({ unit: fc.constantFrom('a', ',', '=', '%', '#', 'target', 'agent', '2C', 'é') });
    fc.assert(
      fc.property(text, text, text, text, (agent, target, otherAgent, otherTarget) => {
        fc.pre(agent !== otherAgent || target.toLowerCase() !== otherTarget.toLowerCase());
        expect(keys([target], agent)[0]).not.toBe(keys([otherTarget], otherAgent)[0]);
      }),
    );
  });

  test('of long values are short and distinct, and no short value can imitate them', () => {
    const long = (end: string): string => `${'x'.repeat(100_000)}${end}`;
    const key = (target: string): string =>
      keysOf(['target'], factsOf({ preview: { targets: [target] } }), WHOSE)[0] ?? '';
    expect(key(long('a')).length).toBeLessThan(200);
    expect(key(long('a'))).not.toBe(key(long('b')));
    const imitation = key(long('a')).slice('target='.length);
    expect(key(imitation)).not.toBe(key(long('a')));
    expect(key('x'.repeat(200))).toBe(`target=${'x'.repeat(200)}`);
    expect(key('x'.repeat(201))).toMatch(/^target=x{80}#sha256:[0-9a-f]{64}$/);
  });

  test('of targets are one for each target, in lower case, without duplicates', () => {
    const facts = factsOf({ preview: { targets: ['Orders', 'orders', 'lines'], reads: ['prices'] } });
    expect(keysOf(['target'], facts, WHOSE)).toEqual(['target=orders', 'target=lines']);
  });

  test('of an action that writes nothing are those of the tables it reads, or one when it reads none', () => {
    expect(keysOf(['target'], factsOf({ preview: { targets: [], reads: ['a', 'b'] } }), WHOSE)).toEqual([
      'target=a',
      'target=b',
    ]);
    expect(keysOf(['target'], factsOf({ preview: { targets: [], reads: [] } }), WHOSE)).toEqual(['target=']);
  });

  test('of the whole tenant are empty, and no key contains the tenant', () => {
    expect(keysOf(['tenant'], refundFacts, WHOSE)).toEqual(['']);
    expect(keysOf(['tenant', 'actionType', 'environment'], refundFacts, WHOSE)).toEqual([
      'actionType=CALL_API,environment=production',
    ]);
  });
});

describe('a limit cannot be evaded', () => {
  const delegated = factsOf({ agent: { id: 'child', via: ['root', 'middle'] }, preview: { targets: ['t', 'u'] } });

  test('by delegating: an agent counts for itself and for each above it', () => {
    const resolved = resolveLimits(oneLimit('kind: count, scope: [agent, target], max: 5, window: 1d'), delegated, {
      input: {},
    });
    expect(resolved.limits.map(({ demand }) => demand.key)).toEqual(
      ['child', 'root', 'middle'].flatMap((agent) => [`agent=${agent},target=t`, `agent=${agent},target=u`]),
    );
  });

  const chain: Authority = {
    credentials: ['1', '2', '3'],
    caps: [],
    above: [
      { id: 'root', tenant: 'acme', roles: ['intern'], scopes: ['*'], owner: 'ann' },
      { id: 'middle', tenant: 'acme', roles: [], scopes: ['*'], owner: 'ann' },
    ],
  };
  const demanded = (fields: string, authority?: Authority, input = {}): readonly string[] =>
    counters(resolveLimits(oneLimit(fields), delegated, { input }, authority));

  test('by delegating to an agent that the condition does not name, or that lacks the role it names', () => {
    const rate = 'kind: rate, scope: agent, max: 1, per: 1m';
    expect(demanded(`${rate}, when: 'agent.id == "root"'`, chain)).toEqual(['one agent=root']);
    expect(demanded(`${rate}, when: 'agent.id == "root"'`)).toEqual(['one agent=root']);
    expect(demanded(`${rate}, when: '"intern" in agent.roles'`, chain)).toEqual(['one agent=root']);
    expect(demanded(`${rate}, when: '"intern" in agent.roles && size(agent.via) > 0'`, chain)).toEqual([]);
    expect(demanded(`${rate}, when: 'has(agent.owner)'`, chain)).toEqual(['one agent=root', 'one agent=middle']);
    expect(demanded(`kind: concurrency, scope: tool, max: 1, when: 'agent.id == "root"'`, chain)).toEqual([
      'one tool=shop-db',
    ]);
    expect(
      resolveLimits(oneLimit(`kind: depth, max: 1, when: 'agent.id == "root"'`), delegated, { input: {} }, chain)
        .exceeded,
    ).toHaveLength(1);
  });

  test('by delegating to an agent for whom the amount is smaller', () => {
    const amount = `kind: budget, unit: EUR, max: 99, window: 1d, amount: '"intern" in agent.roles ? input.a * 2 : input.a', settled: '"intern" in agent.roles ? result * 2 : result'`;
    const resolved = (scope: string) =>
      resolveLimits(
        oneLimit(`${amount}, scope: ${scope}`),
        delegated,
        { input: { a: 5 } },
        { ...chain, caps: [{ jti: 'd', amounts: { EUR: 50 } }] },
      );
    const figures = (scope: string) =>
      resolved(scope).limits.map(({ demand }) => [demand.limit, demand.key, (demand as BudgetDemand).amount]);
    expect(figures('agent')).toEqual([
      ['one', 'agent=child', 5],
      ['one', 'agent=root', 10],
      ['one', 'agent=middle', 5],
      ['delegation:d:EUR', '', 10],
    ]);
    expect(figures('tool')).toEqual([
      ['one', 'tool=shop-db', 10],
      ['delegation:d:EUR', '', 10],
    ]);
    expect(settledAmounts(resolved('tool').limits, 4)).toEqual({ one: 8, 'delegation:d:EUR': 8 });
  });

  test('by delegating in a circle: each agent counts once', () => {
    const facts = factsOf({ agent: { id: 'a', via: ['a', 'b', 'a'] } });
    const resolved = resolveLimits(oneLimit('kind: concurrency, scope: agent, max: 1'), facts, { input: {} });
    expect(resolved.limits.map(({ demand }) => demand.key)).toEqual(['agent=a', 'agent=b']);
  });

  test('by leaving the trace out: untraced actions of a whole chain share one counter', () => {
    const byTrace = oneLimit('kind: count, scope: [trace, tool], max: 5, window: forever');
    const key = (facts: Facts, traceId?: string): string =>
      counters(resolveLimits(byTrace, facts, { input: {}, traceId })).join(' ');
    const root = factsOf({ agent: { id: 'root' } });
    const sibling = factsOf({ agent: { id: 'other', via: ['root'] } });
    expect(key(root)).toBe('one tool=shop-db,trace=,of=root');
    expect(key(delegated)).toBe(key(root));
    expect(key(sibling)).toBe(key(root));
    expect(key(factsOf({ agent: { id: 'stranger' } }))).not.toBe(key(root));
    expect(key(root, 'task')).toBe('one tool=shop-db,trace=task');
    expect(key(sibling, 'task')).toBe(key(root, 'task'));
  });

  test('by a longer chain: depth is decided without the ledger', () => {
    const chain = (length: number): ResolvedLimits =>
      resolveLimits(policy, factsOf({ agent: { id: 'x', via: Array.from({ length }, (_, i) => `a${i}`) } }), {
        input: {},
      });
    expect(chain(3).exceeded).toEqual([]);
    expect(chain(4).exceeded).toEqual([
      { policy: 'limit:short-chains', reason: 'short-chains: 4 agents delegated to x, at most 3 may' },
    ]);
    expect(chain(4).depths).toMatchObject([{ kind: 'depth', used: 4, max: 3, left: 0, fits: false }]);
  });
});

describe('a cap of a delegation', () => {
  const refund = (amount: number, authority: Authority) =>
    resolveLimits(policy, refundFacts, { input: { amount } }, authority);

  test('counts actions and amounts under its own id, every delegation of the chain for itself', () => {
    const resolved = refund(
      30,
      capped({ jti: 'd1', actions: 3, amounts: { EUR: 50 } }, { jti: 'd2', amounts: { EUR: 40 } }),
    );
    expect(resolved.limits.slice(5)).toMatchObject([
      {
        demand: { limit: 'delegation:d1', key: '', kind: 'count', amount: 1, max: 3, unit: 'actions' },
        atLimit: { kind: 'deny' },
      },
      {
        demand: { limit: 'delegation:d1:EUR', key: '', kind: 'budget', amount: 30, max: 50, unit: 'EUR' },
        atLimit: { kind: 'deny' },
      },
      {
        demand: { limit: 'delegation:d2:EUR', key: '', kind: 'budget', amount: 30, max: 40, unit: 'EUR' },
        atLimit: { kind: 'deny' },
      },
    ]);
    for (const { demand } of resolved.limits.slice(5)) expect(demand).not.toHaveProperty('window');
  });

  test('applies even when the policy has no limits', () => {
    const none = policyFromText({ 'permit.cedar': PERMIT_ALL });
    const resolved = resolveLimits(none, factsOf(), { input: {} }, capped({ jti: 'd', actions: 1 }));
    expect(counters(resolved)).toEqual(['delegation:d']);
  });

  test('uses the largest amount that the budgets of its unit measure', () => {
    const two = limited(`small: {kind: budget, scope: agent, amount: input.net, unit: EUR, max: 99, window: 1d}
large: {kind: budget, scope: agent, amount: input.net + input.tax, settled: result.paid, unit: EUR, max: 99, window: 1d}
dollars: {kind: budget, scope: agent, amount: '1000', unit: USD, max: 9999, window: 1d}`);
    const { limits } = resolveLimits(
      two,
      factsOf(),
      { input: { net: 10, tax: 2 } },
      capped({ jti: 'd', amounts: { EUR: 20 } }),
    );
    expect(limits.at(-1)).toMatchObject({ demand: { limit: 'delegation:d:EUR', amount: 12 } });
    // The budget without `settled` counts the held amount.
    expect(settledAmounts(limits, { paid: 11 })).toEqual({ large: 11, 'delegation:d:EUR': 11 });
    expect(settledAmounts(limits, { paid: 3 })).toEqual({ large: 3, 'delegation:d:EUR': 10 });
    expect(settledAmounts(limits, { paid: 15 })).toEqual({ large: 15, 'delegation:d:EUR': 15 });
  });

  test('has no demand when no budget of its unit applies to the action', () => {
    const resolved = resolveLimits(policy, factsOf(), { input: {} }, capped({ jti: 'd', amounts: { EUR: 20 } }));
    expect(counters(resolved).filter((counter) => counter.startsWith('delegation'))).toEqual([]);
    expect(resolved.exceeded).toEqual([]);
  });

  test.each(['USD', 'eur', '__proto__', 'constructor'])(
    'refuses everything in %s, which no budget measures',
    (unit) => {
      const cap = { jti: 'd', amounts: JSON.parse(`{${JSON.stringify(unit)}: 20}`) as Record<string, number> };
      expect(refund(1, capped(cap)).exceeded).toEqual([
        {
          policy: `limit:delegation:d:${unit}`,
          reason: `delegation:d:${unit}: the delegation caps ${unit}, which no budget of the policy measures`,
        },
      ]);
    },
  );
});

describe('an amount', () => {
  test.each<[string, JsonObject, number]>([
    ['input.amount', { amount: 12 }, 12],
    ['input.amount', { amount: 0.1 }, 0.1],
    ['input.amount', { amount: -0 }, 0],
    ['input.amount', { amount: 0 }, 0],
    ['input.amount * 1.19', { amount: 100 }, 119],
    ['double(input.amount)', { amount: '12.50' }, 12.5],
    ['double(input.amount) * -1.0', { amount: 0 }, 0],
    ['has(input.amount) ? input.amount : 500', {}, 500],
    ['size(input.items)', { items: [1, 2, 3] }, 3],
    ['preview.rows', { rows: 1_000_000 }, 1],
    ['input.amount', { amount: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
  ])('%s of %j is %d', (expression, input, expected) => {
    const resolved = amounts(resolveLimits(amountOf(expression), factsOf(), { input }));
    expect(resolved.map((amount) => [amount, Object.is(amount, -0)])).toEqual([[expected, false]]);
  });

  test.each<[string, JsonObject, RegExp]>([
    ['input.amount', {}, /amount cannot be evaluated: .*amount/],
    ['input.amount', { amount: -1 }, /amount is -1, not a number from 0/],
    ['input.amount', { amount: -1e-9 }, /not a number from 0/],
    ['input.amount', { amount: '12' }, /amount is "12", not a number/],
    ['input.amount', { amount: null }, /not a number/],
    ['input.amount', { amount: true }, /amount is true, not a number/],
    ['input.amount', { amount: [1] }, /amount is a list of 1, not a number/],
    ['input.amount', { amount: { value: 1 } }, /amount is a map of 1, not a number/],
    ['input.amount', { amount: 1e308 }, /not a number from 0 to 2\^53-1/],
    ['input.amount * 1e308', { amount: 1e10 }, /amount is Infinity/],
    ['0.0 / double(input.amount)', { amount: '0' }, /amount is NaN/],
    ['double(input.amount)', { amount: 'NaN' }, /cannot be evaluated/],
    ['double(input.amount)', { amount: 'Infinity' }, /cannot be evaluated/],
    ['double(input.amount)', { amount: '' }, /cannot be evaluated/],
    ['double(input.amount)', { amount: '0x10' }, /cannot be evaluated/],
    ['1 / input.amount', { amount: 0 }, /cannot be evaluated/],
    ['input.amount + 1', { amount: '1' }, /cannot be evaluated/],
    ['input.constructor', {}, /cannot be evaluated/],
    ['input.amount.toString', { amount: 1 }, /cannot be evaluated/],
  ])('%s of %j is a deny: POLICY_ERROR', (expression, input, message) => {
    const error = refusal(amountOf(expression), factsOf(), input);
    expect(error).toMatchObject({ code: 'POLICY_ERROR', retryable: false, field: 'limits.yaml:8:13' });
    expect(error.message).toMatch(/^limit:one: its amount /);
    expect(error.message).toMatch(message);
    expect(error.expected).toMatch(/2\^53-1/);
    expect(error.fix).toMatch(/has\(/);
  });

  test('that is infinite never becomes a demand, whatever the agent sends', () => {
    const any = amountOf('input.amount');
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: false }), (amount) => {
        const found = attempt(() => amounts(resolveLimits(any, factsOf(), { input: { amount } as JsonObject })));
        const right = found instanceof CountersignError ? found.code === 'POLICY_ERROR' : found.every(countable);
        expect(right).toBe(true);
      }),
    );
  });
});

describe('a condition', () => {
  test.each<[string, JsonObject, RegExp]>([
    ['input.flag', { flag: 'true' }, /when is "true", not true or false/],
    ['input.flag', { flag: 1 }, /when is 1, not true or false/],
    ['input.flag', {}, /when cannot be evaluated/],
    ['input.a.b.c == 1', { a: {} }, /when cannot be evaluated/],
    ['input.flag == "x" && input.none', { flag: 'x' }, /when cannot be evaluated/],
  ])('%s of %j does not count as false', (when, input, message) => {
    const error = refusal(oneLimit(`kind: depth, max: 1, when: ${JSON.stringify(when)}`), factsOf(), input);
    expect(error.code).toBe('POLICY_ERROR');
    expect(error.message).toMatch(message);
  });

  test('gives no error that could forge a line in a log', () => {
    const error = refusal(oneLimit('kind: depth, max: 1, when: input.flag'), factsOf(), {
      flag: 'a\nERROR forged\u202e',
    });
    expect(error.message).not.toMatch(/[\n\u202e]/);
    expect(error.message.length).toBeLessThan(500);
  });
});

describe('a demand', () => {
  const resolve = (fields: string, facts = factsOf(), input: JsonObject = {}) =>
    resolveLimits(oneLimit(fields), facts, { input }).limits;

  test('has the window of its limit, whatever it counts, and the name of its counter', () => {
    const [count] = resolve('kind: count, scope: tenant, max: 5, window: sliding 1h');
    expect(count?.demand).toEqual({
      limit: 'one',
      key: '',
      kind: 'count',
      amount: 1,
      max: 5,
      unit: 'actions',
      window: { kind: 'sliding', ms: 3_600_000 },
    });
    expect(count?.label).toBe('one');
    expect(count).not.toHaveProperty('settled');
    const [forGood] = resolve('kind: count, scope: agent, max: 5, window: forever');
    expect(forGood?.label).toBe('one agent=test-agent');
    expect(Object.keys(forGood?.demand ?? {})).not.toContain('window');
  });

  test('may be of 200 counters, and of no more', () => {
    const targets = (count: number) =>
      factsOf({ preview: { targets: Array.from({ length: count }, (_, i) => `t${i}`) } });
    expect(resolve('kind: concurrency, scope: target, max: 1', targets(200))).toHaveLength(200);
    expect(refusal(oneLimit('kind: concurrency, scope: target, max: 1'), targets(201), {})).toMatchObject({
      field: 'proposal.input',
      fix: expect.stringContaining('Split the action') as string,
    });
  });

  test('that cannot be made says where the expression stands, what it must yield, and why it did not', () => {
    const condition = oneLimit(`kind: depth, max: 9, when: 'input.a'`);
    const wrong = refusal(condition, factsOf(), { a: 5 });
    expect(wrong.message).toMatch(/^limit:one: its when is 5\S*, not true or false$/);
    expect(wrong.cause).toBeUndefined();
    expect(wrong).toMatchObject({
      field: expect.stringMatching(/^limits\.yaml:2:\d+$/) as string,
      expected: 'true or false',
    });
    expect(refusal(condition, factsOf(), {}).cause).toBeInstanceOf(Error);
    expect(refusal(amountOf('input.a'), factsOf(), { a: 'x' })).toMatchObject({
      message: 'limit:one: its amount is "x", not a number',
      expected: 'a number from 0 to 2^53-1',
    });
    expect(Object.is(amounts(resolveLimits(amountOf('input.a'), factsOf(), { input: { a: -0 } }))[0], 0)).toBe(true);
  });
});

describe('whatever an agent sends', () => {
  const when = (expression: string): Policy =>
    limited(`one:\n  kind: depth\n  max: 9\n  when: ${JSON.stringify(expression)}`);

  test('an action with too many targets is refused', () => {
    const facts = factsOf({ preview: { targets: Array.from({ length: 201 }, (_, i) => `t${i}`) } });
    const error = refusal(oneLimit('kind: concurrency, scope: target, max: 1'), facts, {});
    expect(error).toMatchObject({ code: 'POLICY_ERROR', expected: 'at most 200 counters' });
    expect(error.message).toContain('201 counters');
  });

  test('one evaluation leaves nothing for the next', () => {
    const policy = when('input.items.exists(i, i == agent.id)');
    const evaluate = (items: readonly string[]): number =>
      resolveLimits(policy, factsOf(), { input: { items } }).depths.length;
    expect([evaluate(['test-agent']), evaluate([]), evaluate(['x']), evaluate(['test-agent'])]).toEqual([1, 0, 0, 1]);
    expect(Error.stackTraceLimit).toBeGreaterThan(0);
  });
});
