/** The marks by which later actions find earlier ones, and what a decision relies on of them: nothing hides an action, nothing lends it to others. */
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/action/json.js';
import type { HistoryQuery } from '../../src/action/history.js';
import { historyBesideOthers, resolveHistory, type Policy } from '../../src/policy/index.js';
import { historyClaim } from '../../src/policy/history/claim.js';
import { historyFigure, historyFigures, historyText } from '../../src/policy/history/figures.js';
import { marksOf } from '../../src/policy/history/keys.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL, type FactsGiven } from './facts.js';

const policyOf = (history: string, rules = ''): Policy =>
  policyFromText({
    'history.yaml': `history:\n${history}`,
    'all.cedar': PERMIT_ALL,
    ...(rules === '' ? {} : { 'rules.cedar': rules }),
  });

/** What the one fact with these fields asks and leaves for an action. */
function asked(fields: string, given: FactsGiven = {}, input: JsonObject = {}, traceId?: string) {
  const policy = policyOf(`  one: { of: { tool: shop-db }, within: 1d, ${fields} }\n`);
  const { queries, marks } = resolveHistory(policy.history, factsOf(given), { input, traceId });
  const [query] = queries;
  if (query === undefined) throw new Error('There is a fact.');
  return { ...query, marks };
}
const common = (one: readonly string[], other: readonly string[]): number =>
  one.filter((mark) => other.includes(mark)).length;

describe('an action leaves a mark where it is one of those that a fact is about', () => {
  const marks = (of: string, given: FactsGiven = {}) => {
    const policy = policyOf(`  one: { of: ${of}, scope: tenant, within: 1d }\n`);
    return resolveHistory(policy.history, factsOf(given), { input: {} }).marks.length;
  };
  test.each<[string, FactsGiven, FactsGiven]>([
    ['{ tool: [ci, other] }', { tool: { name: 'ci' } }, { tool: { name: 'cd' } }],
    ['{ operation: [test] }', { operation: 'test' }, { operation: 'Test' }],
    ['{ actionType: [READ, DELETE] }', { actionType: 'DELETE' }, { actionType: 'WRITE' }],
    ['{ environment: production }', { tool: { environment: 'production' } }, { tool: { environment: 'test' } }],
    [
      '{ targets: [Orders, users] }',
      { preview: { targets: ['x', 'ORDERS'] } },
      { preview: { targets: ['x'], reads: ['orders'] } },
    ],
    ['{ reads: [Cards] }', { preview: { reads: ['CARDS'] } }, { preview: { targets: ['cards'], reads: [] } }],
    ['{ tool: ci, operation: test }', { tool: { name: 'ci' }, operation: 'test' }, { tool: { name: 'ci' } }],
  ])('%s', (of, is, isNot) => {
    expect([marks(of, is), marks(of, isNot)]).toEqual([1, 0]);
  });
});

describe('what is asked and left', () => {
  test('is the same for the same place and arguments, sorted and once, whatever window and outcomes are asked', () => {
    const one = asked('scope: agent');
    expect(one).toMatchObject({ fact: 'one', withinMs: 86_400_000, outcomes: ['success'] });
    expect(one.certain).toEqual(one.marks);
    expect(one.possible).toEqual(one.marks);
    expect(asked('scope: agent, outcome: [failed, mismatch]').marks).toEqual(one.marks);
    expect(one.marks[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
    const targets = asked('scope: target', { preview: { targets: ['b', 'a', 'B'] } }).marks;
    expect(targets).toHaveLength(2);
    expect(targets).toEqual([...targets].sort());
  });

  test('is apart for each agent, and a delegate is the agent at the root of its chain', () => {
    const of = (agent: FactsGiven['agent']) => asked('scope: agent', { agent: agent ?? {} }).marks;
    expect(of({ id: 'a' })).not.toEqual(of({ id: 'b' }));
    expect(of({ id: 'c', via: ['a', 'b'] })).toEqual(of({ id: 'a' }));
    expect(of({ id: 'a,b' })).not.toEqual(of({ id: 'a%2Cb' }));
  });

  test('is apart for each target, in whatever case; for what is read where nothing is written; and for nothing at all', () => {
    const of = (targets: string[], reads: string[] = []) => asked('scope: target', { preview: { targets, reads } });
    expect(of(['Orders']).marks).toEqual(of(['orders']).marks);
    expect(of(['orders']).marks).not.toEqual(of(['carts']).marks);
    expect(of(['orders'], ['carts']).marks).toEqual(of(['orders']).marks);
    expect(of([], ['carts']).marks).toEqual(of(['carts']).marks);
    const none = of([]);
    expect(none.certain).toEqual([]);
    expect(none.marks).toEqual(none.possible);
    expect(none.marks).toHaveLength(1);
  });

  test('is apart for each combination of scopes', () => {
    const of = (agent: string, target: string) =>
      asked('scope: [agent, target]', { agent: { id: agent }, preview: { targets: [target] } }).marks[0];
    expect(new Set([of('a', 't'), of('a', 'u'), of('b', 't'), of('b', 'u')]).size).toBe(4);
    expect(asked('scope: [agent, target]', { preview: { targets: ['t', 'u'] } }).marks).toHaveLength(2);
    expect(asked('scope: tenant', { agent: { id: 'a' } }).marks).toEqual(
      asked('scope: tenant', { agent: { id: 'b' } }).marks,
    );
  });

  test('is apart for each task; what has none may belong to any of its agent, and to none for certain', () => {
    const of = (trace?: string, agent = 'a') => asked('scope: task', { agent: { id: agent } }, {}, trace);
    expect(common(of('t').certain, of('t', 'b').marks)).toBe(1);
    expect(common(of('t').certain, of('u').marks)).toBe(0);
    expect(of().certain).toEqual([]);
    expect(common(of('t').certain, of().marks)).toBe(0);
    expect(common(of('t').possible, of().marks)).toBe(1);
    expect(common(of('t', 'b').possible, of().marks)).toBe(0);
    expect(common(of().possible, of('t').marks)).toBe(1);
    expect(common(of().possible, of('t', 'b').marks)).toBe(0);
    expect(common(of().possible, of().marks)).toBe(1);
    expect([of('t').marks.length, of().marks.length]).toEqual([2, 2]);
    // A trace id cannot imitate what stands for none.
    expect(common(of('t').possible, of(',agent=a').marks)).toBe(0);
  });

  test('has the arguments that must be the same: one that is null is another than none, and than one inherited', () => {
    const of = (input: JsonObject) => asked('scope: tenant, same: [input.a.b]', {}, input).marks[0];
    expect(of({ a: { b: 1 } })).toBe(of({ a: { b: 1 }, c: 2 }));
    expect(of({ a: { b: 1 } })).not.toBe(of({ a: { b: '1' } }));
    expect(of({ a: { b: null } })).not.toBe(of({ a: {} }));
    for (const input of [{}, { a: null }, { a: 1 }, { a: 'text' }, { a: [{ b: 1 }] }, { a: { c: 1 } }])
      expect(of(input)).toBe(of({}));
    const inherited = asked('scope: tenant, same: [input.constructor]', {}, {}).marks;
    expect(inherited).toEqual(asked('scope: tenant, same: [input.constructor]', {}, { x: 1 }).marks);
    const list = asked('scope: tenant, same: [input.a.length]', {}, { a: [1, 2] }).marks;
    for (const a of [[1, 2, 3], 'text', 'longer text'])
      expect(asked('scope: tenant, same: [input.a.length]', {}, { a }).marks).toEqual(list);
    const two = (input: JsonObject) => asked('scope: tenant, same: [input.a, input.b]', {}, input).marks[0];
    expect(two({ a: 1, b: 2 })).not.toBe(two({ a: 2, b: 1 }));
    expect(two({ a: 1 })).not.toBe(two({ b: 1 }));
  });

  test('hangs on what a fact counts, and not on its id', () => {
    const facts = factsOf();
    const fact = (name: string, tool = 'shop-db') => {
      const [found] = policyOf(`  ${name}: { of: { tool: ${tool} }, scope: tenant, within: 1d }\n`).history.facts;
      if (found === undefined) throw new Error('There is a fact.');
      return marksOf(found, facts, { input: {} }, 'left');
    };
    expect(fact('one')).toEqual(fact('two'));
    expect(fact('one')).not.toEqual(fact('one', 'other'));
  });

  test('has a bound, of what is left and of what is asked: an action with too many targets is refused', () => {
    const targets = (count: number) => ({ preview: { targets: Array.from({ length: count }, (_, i) => `t${i}`) } });
    expect(asked('scope: target', targets(400)).marks).toHaveLength(400);
    const tooMany = expect.objectContaining({
      code: 'POLICY_ERROR',
      field: 'proposal.input',
      expected: 'at most 400 marks',
      message: 'The action has 401 marks of history facts.',
    }) as Error;
    expect(() => asked('scope: target', targets(401))).toThrow(tooMany);
    // It leaves none, because it is none of them, and asks for all the same.
    expect(() => asked('scope: target', { ...targets(401), tool: { name: 'other' } })).toThrow(tooMany);
    // Without a trace id it leaves twice as many as it asks for.
    expect(() => asked('scope: [task, target]', targets(201))).toThrow('The action has 402 marks');
    const two = policyOf(
      '  a: { of: { tool: shop-db }, scope: target, within: 1d }\n  b: { of: { tool: ci }, scope: target, within: 1d }\n',
    );
    expect(() => resolveHistory(two.history, factsOf(targets(201)), { input: {} })).toThrow('The action has 402 marks');
    expect(resolveHistory(two.history, factsOf(targets(200)), { input: {} }).marks).toHaveLength(200);
  });
});

describe('what a decision relies on', () => {
  const HISTORY =
    '  a: { of: { tool: x }, scope: tenant, within: 1d }\n  b: { of: { tool: y }, scope: tenant, within: 1d }\n';
  const rule = (condition: string) => `@id("r") forbid (principal, action, resource) when { ${condition} };`;
  const claim = (rules: string, found: readonly { done: number; possible: number }[], given: FactsGiven = {}) => {
    const policy = policyOf(HISTORY, rules);
    const facts = { ...factsOf(given), ...policy.nothingBefore() };
    const resolved = resolveHistory(policy.history, facts, { input: {} });
    const readings = resolved.queries.flatMap(({ fact }, i) =>
      found[i] === undefined ? [] : [{ fact, underWay: 0, ...found[i] }],
    );
    return historyClaim(policy, facts, { ...resolved, readings });
  };
  const NONE = { done: 0, possible: 0 };

  test('are the counts that its rules compare, each as far as no comparison answers otherwise', () => {
    const rules = rule('context.history.a.done >= 3 && context.history.a.done < 7 && context.history.a.possible > 0');
    const [check, ...others] = claim(rules, [{ done: 5, possible: 9 }, NONE])?.checks ?? [];
    expect(others).toEqual([]);
    expect(check).toMatchObject({ fact: 'a', doneIn: [4, 6], possibleIn: [1, 100], withinMs: 86_400_000 });
    expect(claim(rules, [{ done: 3, possible: 0 }, NONE])?.checks).toMatchObject([
      { doneIn: [3, 3], possibleIn: [0, 0] },
    ]);
    expect(claim(rules, [{ done: 8, possible: 8 }, NONE])?.checks).toMatchObject([{ doneIn: [8, 100] }]);
    expect(claim(rules, [{ done: 2, possible: 8 }, NONE])?.checks).toMatchObject([{ doneIn: [0, 2] }]);
  });

  test('are those of one count alone where only it is compared, and of rules that can apply', () => {
    const only = claim(rule('context.history.b.possible >= 1'), [NONE, { done: 0, possible: 2 }]);
    expect(only?.checks).toMatchObject([{ fact: 'b', possibleIn: [2, 100] }]);
    expect(only?.checks[0]).not.toHaveProperty('doneIn');
    const elsewhere =
      '@id("r") forbid (principal, action, resource == Countersign::Tool::"z") when { context.history.a.done >= 1 };';
    expect(claim(elsewhere, [NONE, NONE])).toBeUndefined();
    expect(claim(elsewhere, [NONE, NONE], { tool: { name: 'z' } })?.checks).toHaveLength(1);
  });

  test('are both counts where each is compared once, and what is checked is not forgotten over what is left', () => {
    const rules = rule('context.history.a.done >= 1 && context.history.a.possible >= 1');
    const both = claim(rules, [NONE, NONE], { tool: { name: 'x' } });
    expect(both?.checks).toMatchObject([{ fact: 'a', doneIn: [0, 0], possibleIn: [0, 0] }]);
    expect(both?.marks).toHaveLength(1);
  });

  test('are nothing that was not read; what is left for later actions is there without any', () => {
    expect(claim(rule('context.history.a.done >= 1'), [])).toBeUndefined();
    const left = claim(rule('context.rows > 5'), [NONE, NONE], { tool: { name: 'x' } });
    expect(left?.checks).toEqual([]);
    expect(left?.marks).toHaveLength(1);
  });
});

describe('beside others that come first and have left nothing yet', () => {
  const query: HistoryQuery = { fact: 'a', certain: ['c'], possible: ['c', 'p'], withinMs: 1, outcomes: ['success'] };
  const reading = { fact: 'a', done: 1, underWay: 1, possible: 2 };
  const beside = (...others: string[][]) => historyBesideOthers([reading], [query], others)[0];

  test('each of them that may count is possible, and under way where it counts for certain; once each', () => {
    expect(beside()).toEqual(reading);
    expect(beside(['x'], [])).toEqual(reading);
    expect(beside(['p'])).toEqual({ ...reading, possible: 3 });
    expect(beside(['c', 'p', 'x'])).toEqual({ ...reading, underWay: 2, possible: 3 });
    expect(beside(['c'], ['p'], ['c'])).toEqual({ ...reading, underWay: 3, possible: 5 });
  });

  test('no more are counted than can be told apart, and what was not asked stays as it is', () => {
    const many = Array.from({ length: 200 }, () => ['c']);
    expect(beside(...many)).toEqual({ ...reading, underWay: 100, possible: 100 });
    expect(historyBesideOthers([reading], [], [['c']])).toEqual([reading]);
  });
});

describe('a figure of history', () => {
  test('says what is done, under way, and more that may count', () => {
    const of = (done: number, underWay: number, possible: number) =>
      historyFigure({ fact: 'f', done, underWay, possible }).text;
    expect(of(0, 0, 0)).toBe('f: 0 done');
    expect(of(2, 1, 3)).toBe('f: 2 done, 1 under way');
    expect(of(2, 1, 4)).toBe('f: 2 done, 1 under way, 1 more that may count');
    expect(of(99, 0, 99)).toBe('f: 99 done');
    expect(of(100, 0, 100)).toBe('f: 100 or more done');
  });

  test('of what is given in a test has what is not given as nothing', () => {
    const { history } = policyOf(
      '  a: { of: { tool: x }, scope: tenant, within: 1d }\n  b: { of: { tool: y }, scope: tenant, within: 1d }\n',
    );
    const figures = (given?: Parameters<typeof historyFigures>[1]) =>
      historyFigures(history, given).map(({ fact, done, underWay, possible }) => [fact, done, underWay, possible]);
    expect(figures()).toEqual([
      ['a', 0, 0, 0],
      ['b', 0, 0, 0],
    ]);
    expect(figures({ a: { done: 1, underWay: 2 }, b: { possible: 4 } })).toEqual([
      ['a', 1, 2, 3],
      ['b', 0, 0, 4],
    ]);
  });

  test.each([
    ['of: { tool: ci }, scope: tenant, within: 4h', 'success of tool ci, of the tenant, within 4h'],
    [
      'of: { tool: [ci, cd], operation: test }, scope: [agent, task, target], same: [input.a, input.b.c], outcome: [failed, success], within: 1d, wait: 30s',
      'failed or success of tool cd or ci, operation test, of the same agent, of the same task, of the same target, with the same input.a and input.b.c, within 1d, waits for 30s',
    ],
  ])('the fact {%s} is told as: %s', (fields, text) => {
    const [fact] = policyOf(`  one: { ${fields} }\n`).history.facts;
    if (fact === undefined) throw new Error('There is a fact.');
    expect(historyText(fact)).toBe(text);
  });
});
