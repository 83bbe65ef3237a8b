/** The parts that explain stands on: what rules speak of, which numbers can be lowered, which changes are tried, and who judges them. */
import { describe, expect, test } from 'vitest';
import type { Decision, Facts } from '../../src/action/decision.js';
import { digestText, type Json, type JsonObject } from '../../src/action/json.js';
import { amountsOf, isAtLimit, largestSmaller } from '../../src/policy/authoring/explain/amounts.js';
import { counterfactuals } from '../../src/policy/authoring/explain/changes.js';
import { explain } from '../../src/policy/authoring/explain/explain.js';
import {
  judgeOf,
  lackingFigures,
  limitJudgeOf,
  type JudgedEffect,
  type Judgement,
} from '../../src/policy/authoring/explain/judge.js';
import { knownValues, withValue } from '../../src/policy/authoring/explain/known.js';
import { evaluate, type Policy } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { schemaWith } from './input-example.js';

const DECISION: Decision = {
  effect: 'deny',
  reason: 'r',
  policies: [],
  constraints: [],
  violations: [],
  requirements: [],
  errors: [],
  policyDigest: digestText('x'),
};
const REQUIREMENT = { policy: 'ask', reason: 'r', roles: ['dba'], quorum: 1, ttlSeconds: 60 };
const judgement = (effect: JudgedEffect, more: Partial<Decision> = {}): Judgement => ({
  effect,
  reason: `because of ${effect}`,
  decision: { ...DECISION, ...more },
  facts: factsOf(),
});

describe('what rules speak of', () => {
  const speaking = (...conditions: string[]): Policy =>
    policyFromText({
      'schema.cedarschema': schemaWith('amount?: Long, other?: Long, currency?: String, flag?: Bool, kind?: String'),
      'a.cedar':
        PERMIT_ALL +
        conditions
          .map((condition, i) => `@id("r${i}") forbid (principal, action, resource) when { ${condition} };`)
          .join('\n'),
    });

  test('is nothing but no row and one, where they speak of nothing', () => {
    expect(knownValues(speaking())).toEqual({
      roles: [],
      environments: [],
      operations: [],
      targets: [],
      rows: [0, 1],
      input: new Map(),
    });
  });

  test('are roles of scopes, of conditions and of the context', () => {
    const policy = policyFromText({
      'a.cedar': `@id("a") permit (principal in Countersign::Role::"scope", action, resource)
when { principal in Countersign::Role::"cond" || context.roles.contains("ctx") || context.roles.containsAny(["any"]) };
@id("b") permit (principal == Countersign::Agent::"bot", action, resource == Countersign::Tool::"db")
when { resource == Countersign::Tool::"other" };`,
    });
    expect(knownValues(policy).roles).toEqual(['any', 'cond', 'ctx', 'scope']);
  });

  test('are names, whichever way and side they are compared on', () => {
    const { environments, operations, targets } = knownValues(
      speaking(
        'context.environment == "prod" || "test" != context.operation || resource.environment == "live"',
        'context.targets.contains("t1") || context.targets.containsAny(["t3", "t2"]) || context.reads.containsAll(["t4"])',
        '["o2", "o1"].contains(context.operation) || context.operation == context.environment',
        'context.targets == ["alone"]',
      ),
    );
    expect(environments).toEqual(['live', 'prod']);
    expect(operations).toEqual(['o1', 'o2', 'test']);
    expect(targets).toEqual(['t1', 't2', 't3', 't4']);
  });

  test.each([
    ['context.rows > 10', [0, 1, 9, 10, 11]],
    ['10 >= context.rows', [0, 1, 9, 10, 11]],
    ['context.rows < 7 || context.rows == 3', [0, 1, 2, 3, 4, 6, 7, 8]],
    ['context.rows <= 1 || context.rows != 0', [0, 1, 2]],
  ])('are numbers of rows, and those just beside them, none below zero: %s', (condition, rows) => {
    expect(knownValues(speaking(condition)).rows).toEqual(rows);
  });

  test('are arguments by their paths, with what each is compared with', () => {
    const { input } = knownValues(
      speaking(
        'context has input.kind && context.input.kind == "b"',
        'context has input.kind && ["c", "a"].contains(context.input.kind)',
        'context has input.flag && context.input.flag == true',
        'context.rows < 5 || context.operation == "x"',
        'context has input.amount && context.input.amount < 100',
        'context has input.amount && context.input has other && context.input.amount > context.input.other',
      ),
    );
    expect([...input]).toEqual([
      ['amount', [99, 100, 101]],
      ['flag', [false, true]],
      ['kind', ['a', 'b', 'c']],
      ['other', []],
    ]);
  });

  test.each<[Json | undefined, string, Json, Json]>([
    [undefined, 'a', 1, { a: 1 }],
    [{ a: 1, b: 2 }, 'a', 3, { a: 3, b: 2 }],
    [{ a: { x: 1 }, b: 2 }, 'a.y', 3, { a: { x: 1, y: 3 }, b: 2 }],
    [{ a: [1] }, 'a.y', 3, { a: { y: 3 } }],
    [{ a: null }, 'a.y.z', 3, { a: { y: { z: 3 } } }],
    [null, 'a', 3, { a: 3 }],
    ['text', 'a', 3, { a: 3 }],
    [[7], 'a', 3, { a: 3 }],
  ])('%j with another value at %s', (input, path, value, expected) => {
    const before = JSON.stringify(input);
    expect(withValue(input, path.split('.'), value)).toEqual(expected);
    expect(JSON.stringify(input)).toBe(before);
  });
});

describe('numbers that can be lowered', () => {
  test('are at a limit where one denies, asks or lets wait', () => {
    expect(isAtLimit(judgement('deny', { code: 'LIMIT_EXCEEDED' }))).toBe(true);
    expect(isAtLimit(judgement('queue'))).toBe(true);
    expect(isAtLimit(judgement('require_approval', { requirements: [{ ...REQUIREMENT, policy: 'limit:x' }] }))).toBe(
      true,
    );
    const both = [REQUIREMENT, { ...REQUIREMENT, policy: 'limit:x' }];
    expect(isAtLimit(judgement('require_approval', { requirements: both }))).toBe(true);
    expect(isAtLimit(judgement('require_approval', { requirements: [REQUIREMENT] }))).toBe(false);
    expect(isAtLimit(judgement('deny', { code: 'POLICY_DENIED' }))).toBe(false);
    expect(isAtLimit(judgement('allow'))).toBe(false);
  });

  const amounts = (rows: number, input?: JsonObject) =>
    amountsOf({ ...factsOf({ preview: { rows } }), ...(input === undefined ? {} : { input }) });

  test('are the rows and the numbers of the input, in the order of their names', () => {
    const found = amounts(30, { b: 2, a: { d: 4.5, c: 3, list: [4] }, text: 'x', none: null, zero: 0, minus: -1 });
    expect(found.map(({ kind, value, text }) => [kind, value, text(value - 1)])).toEqual([
      ['rows', 30, 'it touches 29 rows'],
      ['input', 3, 'a.c of the input is 2'],
      ['input', 4.5, 'a.d of the input is 3.5'],
      ['input', 2, 'b of the input is 1'],
    ]);
    expect(amounts(0)).toEqual([]);
    expect(amounts(1).map(({ kind }) => kind)).toEqual(['rows']);
  });

  test('are lowered alone', () => {
    const facts = { ...factsOf({ preview: { rows: 30 } }), input: { a: { c: 3, d: 4 }, b: 2 } };
    const [rows, c] = amountsOf(facts);
    expect(rows?.apply(facts, 7)).toEqual({ ...facts, preview: { ...facts.preview, rows: 7 } });
    expect(c?.apply(facts, 1)).toEqual({ ...facts, input: { a: { c: 1, d: 4 }, b: 2 } });
  });

  test('are no more than twenty of the input, no deeper than six names, and none that is too large for hundredths', () => {
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`n${String(i).padStart(2, '0')}`, 1]));
    expect(amounts(0, many).map(({ text }) => text(0).split(' ')[0])).toEqual(Object.keys(many).slice(0, 20));
    const nested = (names: number): JsonObject =>
      Array.from({ length: names }).reduce<Json>((value) => ({ n: value }), 1) as JsonObject;
    expect([amounts(0, nested(6)).length, amounts(0, nested(7)).length]).toEqual([1, 0]);
    const largest = Number.MAX_SAFE_INTEGER / 100;
    expect(amounts(0, { a: largest, b: largest + 1 }).map(({ value }) => value)).toEqual([largest]);
  });

  const halved = (value: number, effectAt: (value: number) => JudgedEffect | undefined) => {
    const tried: number[] = [];
    const found = largestSmaller(
      value,
      (effect) => effect !== 'deny',
      (at) => {
        tried.push(at);
        return effectAt(at);
      },
    );
    return { found, tried };
  };

  test('are halved until the largest is found that has the effect of none', () => {
    expect(halved(10, (at) => (at <= 4 ? 'allow' : 'deny'))).toEqual({ found: 4, tried: [0, 5, 2, 3, 4] });
    expect(halved(10, (at) => (at <= 3 ? 'allow' : at <= 6 ? 'require_approval' : 'deny')).found).toBe(3);
    expect(halved(10, (at) => (at <= 9 ? 'allow' : 'deny')).found).toBe(9);
    expect(halved(1, (at) => (at < 1 ? 'allow' : 'deny'))).toEqual({ found: 0, tried: [0] });
    expect(halved(2.5, (at) => (at <= 1.25 ? 'allow' : 'deny')).found).toBe(1.25);
    expect(halved(0.005, (at) => (at === 0 ? 'allow' : 'deny'))).toEqual({ found: 0, tried: [0] });
    expect(halved(0.011, (at) => (at <= 0.01 ? 'allow' : 'deny')).found).toBe(0.01);
  });

  test('are not told where none of it has the same effect, or it is not known', () => {
    expect(halved(10, () => 'deny')).toEqual({ found: undefined, tried: [0] });
    expect(halved(10, () => undefined)).toEqual({ found: undefined, tried: [0] });
    expect(halved(10, (at) => (at === 0 ? 'allow' : undefined))).toEqual({ found: undefined, tried: [0, 5] });
  });
});

describe('what is tried', () => {
  const DENIED = judgement('deny');
  /** The facts that a judge was asked about, and what it was told of them, where anything else than the action itself is allowed. */
  function tried(policy: Policy, facts: Facts, effect: (facts: Facts) => JudgedEffect | undefined = () => 'allow') {
    const asked: Facts[] = [];
    const { changes, cut } = counterfactuals(
      policy,
      facts,
      DENIED,
      (at) => {
        asked.push(at);
        const given = effect(at);
        return given && judgement(given);
      },
      1000,
    );
    return { asked, cut, texts: changes.map(({ changes: all }) => all.map(({ text }) => text).join(' + ')), changes };
  }
  const forbidding = (condition: string, more: Readonly<Record<string, string>> = {}) =>
    policyFromText({
      'a.cedar': `@id("f") forbid (principal, action, resource) when { ${condition} };`,
      ...more,
    });
  const facts = factsOf({ preview: { rows: 0, targets: [] } });
  const rowsOf = (rows: number) => ({ ...facts, preview: { ...facts.preview, rows } });

  test('of an action of which rules say nothing is another number of rows', () => {
    expect(tried(forbidding('context.compensates'), facts)).toMatchObject({
      texts: ['it touches 1 rows'],
      asked: [rowsOf(1)],
      cut: false,
      changes: [
        { changes: [{ kind: 'rows', text: 'it touches 1 rows' }], effect: 'allow', reason: 'because of allow' },
      ],
    });
  });

  test('is told without what was tried with it', () => {
    const [change] = tried(forbidding('context.compensates'), facts).changes;
    expect(Object.keys(change?.changes[0] ?? {})).toEqual(['kind', 'text']);
  });

  test.each<[string, string, string, Partial<Facts>, readonly (readonly [string, Partial<Facts>])[]]>([
    [
      'a role more, or one less',
      'role',
      'context.roles.contains("b") || context.roles.contains("a")',
      { agent: { ...facts.agent, roles: ['a', 'c'] } },
      [
        ['the agent also has the role b', { agent: { ...facts.agent, roles: ['a', 'c', 'b'] } }],
        ['the agent does not have the role a', { agent: { ...facts.agent, roles: ['c'] } }],
        ['the agent does not have the role c', { agent: { ...facts.agent, roles: ['a'] } }],
      ],
    ],
    [
      'other targets',
      'target',
      'context.targets.contains("x") || context.targets.contains("y")',
      { preview: { ...facts.preview, targets: ['y', 'z'] } },
      [
        ['its target is x', { preview: { ...facts.preview, targets: ['x'] } }],
        ['its target is one that no rule names', { preview: { ...facts.preview, targets: ['(another)'] } }],
      ],
    ],
    [
      'another operation',
      'operation',
      'context.operation == "update" || context.operation == "delete"',
      {},
      [['its operation is delete', { operation: 'delete' }]],
    ],
    [
      'another environment',
      'environment',
      'context.environment == "test" || resource.environment == "live"',
      {},
      [['it happens in live', { tool: { ...facts.tool, environment: 'live' } }]],
    ],
    [
      'sources that are trusted alone',
      'sources',
      'context.compensates',
      {
        from: [
          { source: 'web', trust: 'untrusted' },
          { source: 'crm', trust: 'trusted' },
        ],
      },
      [['no source that is not trusted led to it', { from: [{ source: 'crm', trust: 'trusted' }] }]],
    ],
    [
      'nothing about sources that are trusted',
      'sources',
      'context.compensates',
      { from: [{ source: 'crm', trust: 'trusted' }] },
      [],
    ],
    [
      'no change of a schema',
      'schemaChange',
      'context.compensates',
      { preview: { ...facts.preview, schemaChange: true } },
      [['it does not change a schema', { preview: { ...facts.preview, schemaChange: false } }]],
    ],
  ])('is %s', (_, kind, condition, own, expected) => {
    const given: Facts = { ...facts, ...own };
    const { texts, asked, changes } = tried(forbidding(condition), given);
    const others = expected.map(([text]) => text);
    expect(texts.filter((text) => !text.includes('rows'))).toEqual(others);
    expect(new Set(changes.flatMap(({ changes: all }) => all.map((one) => one.kind)))).toEqual(
      new Set(['rows', ...(expected.length === 0 ? [] : [kind])]),
    );
    const about = asked.filter(({ preview }) => preview.rows === given.preview.rows);
    expect(about).toEqual(expected.map(([, change]) => ({ ...given, ...change })));
  });

  test('is an argument that the policy declares, at the bounds of rules', () => {
    const policy = forbidding('context has input.amount && context.input.amount < 5', {
      'schema.cedarschema': schemaWith('amount?: Long'),
    });
    const given: Facts = { ...facts, input: { amount: 3, more: 'x' } };
    const { texts, asked, changes } = tried(policy, given);
    expect(changes.at(-1)?.changes[0]?.kind).toBe('input');
    expect(texts.slice(1)).toEqual([
      'amount of the input is 4',
      'amount of the input is 5',
      'amount of the input is 6',
    ]);
    expect(asked.slice(1).map(({ input }) => input)).toEqual([4, 5, 6].map((amount) => ({ amount, more: 'x' })));
    expect(tried(policy, facts).asked[1]?.input).toEqual({ amount: 4 });
  });

  test('is the nearest number of rows alone of each effect, the smaller one of two', () => {
    const policy = forbidding('context.rows > 10 || context.rows > 20');
    const at = (rows: number, effect: (facts: Facts) => JudgedEffect | undefined = () => 'allow') => {
      const { texts, asked } = tried(policy, rowsOf(rows), effect);
      return { texts, rows: asked.map(({ preview }) => preview.rows) };
    };
    expect(at(10)).toEqual({ texts: ['it touches 9 rows'], rows: [9, 11, 1, 19, 0, 20, 21] });
    expect(at(15)).toEqual({ texts: ['it touches 11 rows'], rows: [11, 19, 10, 20, 9, 21, 1, 0] });
    const two = (given: Facts): JudgedEffect => (given.preview.rows < 15 ? 'allow' : 'require_approval');
    expect(at(15, two).texts).toEqual(['it touches 11 rows', 'it touches 19 rows']);
    expect(at(10, (given) => (given.preview.rows === 20 ? 'allow' : 'deny')).texts).toEqual(['it touches 20 rows']);
  });

  test('is a count of earlier actions, at what rules compare it with and beside, which stays possible where it is done', () => {
    const policy = policyFromText({
      'a.cedar': `@id("f") forbid (principal, action, resource) unless { context.history.tested.done > 0 };
@id("g") forbid (principal, action, resource) when { context.history.tested.possible >= 100 };`,
      'history.yaml':
        'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 4h}\n  other: {of: {tool: cd}, scope: tenant, within: 4h}\n',
    });
    const other = { fact: 'other', done: 4, underWay: 0, possible: 4, text: '' };
    const tested = { fact: 'tested', done: 0, underWay: 1, possible: 1, text: '' };
    const given: Facts = { ...facts, history: [other, tested] };
    const { texts, asked, changes } = tried(policy, given);
    expect(changes.at(-1)?.changes[0]?.kind).toBe('history');
    expect(texts.slice(1)).toEqual(['tested is 1 done', 'tested is 99 possible', 'tested is 100 possible']);
    expect(asked.slice(1).map(({ history }) => history)).toEqual(
      [
        { done: 1, possible: 1 },
        { done: 0, possible: 99 },
        { done: 0, possible: 100 },
      ].map((counts) => [other, { ...tested, ...counts }]),
    );
    const much: Facts = { ...facts, history: [{ ...tested, done: 9, possible: 100 }] };
    expect(
      tried(policy, much)
        .asked.slice(1)
        .map(({ history }) => [history?.[0]?.done, history?.[0]?.possible]),
    ).toEqual([
      [0, 100],
      [1, 100],
      [9, 99],
    ]);
    expect(tried(policy, facts).texts).toEqual(['it touches 1 rows']);
  });

  test('are pairs of different kinds, where no single change makes it more possible', () => {
    const policy = forbidding('context.roles.contains("a") || context.operation == "o"');
    const enough = (given: Facts): JudgedEffect =>
      given.agent.roles.includes('a') && given.operation === 'o' ? 'allow' : 'deny';
    const { texts, changes } = tried(policy, facts, enough);
    expect(texts).toEqual(['the agent also has the role a + its operation is o']);
    expect(changes[0]?.changes.map(({ kind }) => kind)).toEqual(['role', 'operation']);
    const one = (given: Facts): JudgedEffect => (given.operation === 'o' ? 'allow' : 'deny');
    expect(tried(policy, facts, one).texts).toEqual(['its operation is o']);
    const roles = forbidding('context.roles.contains("a") || context.roles.contains("b")');
    expect(tried(roles, facts, (given) => (given.agent.roles.length === 2 ? 'allow' : 'deny')).texts).toEqual([]);
  });

  test('are pairs only where they make it more possible than it is', () => {
    const policy = forbidding('context.roles.contains("a") || context.operation == "o"');
    const asks = judgement('require_approval', { requirements: [REQUIREMENT] });
    const found = counterfactuals(
      policy,
      facts,
      asks,
      (at) => judgement(at.agent.roles.includes('a') && at.operation === 'o' ? 'deny' : 'require_approval'),
      1000,
    );
    // People who approve make it possible already: no pair is tried.
    expect(found.changes.map(({ changes }) => changes[0]?.text)).toEqual(['1 of dba approve']);
    const queued = counterfactuals(
      policy,
      facts,
      judgement('queue'),
      (at) => judgement(at.agent.roles.includes('a') && at.operation === 'o' ? 'deny' : 'queue'),
      1000,
    );
    expect(queued.changes).toEqual([]);
  });

  test('is nothing in pairs of what is allowed', () => {
    const policy = forbidding('context.roles.contains("a") || context.operation == "o"');
    let asked = 0;
    const found = counterfactuals(
      policy,
      facts,
      judgement('allow'),
      () => {
        asked++;
        return judgement('allow');
      },
      1000,
    );
    expect([found.changes, asked]).toEqual([[], 3]);
  });

  test('stops after as many decisions as are allowed, and says so', () => {
    const policy = forbidding('context.roles.contains("a") || context.operation == "o"');
    const search = (most: number) => {
      let asked = 0;
      const { changes, cut } = counterfactuals(
        policy,
        facts,
        DENIED,
        () => {
          asked++;
          return judgement('allow');
        },
        most,
      );
      return [changes.length, asked, cut];
    };
    expect([search(0), search(2), search(3), search(4)]).toEqual([
      [0, 0, true],
      [2, 2, true],
      [3, 3, false],
      [3, 3, false],
    ]);
  });

  test('is told of twenty at most, and that there are more', () => {
    const many = (count: number) =>
      tried(
        forbidding(
          Array.from({ length: count }, (_, i) => `context.operation == "o${String(i).padStart(2, '0')}"`).join(' || '),
        ),
        facts,
      );
    // One of them is another number of rows.
    expect([many(19).texts.length, many(19).cut]).toEqual([20, false]);
    expect([many(20).texts.length, many(20).cut]).toEqual([20, true]);
  });

  test('are people, each requirement said once, where they are asked', () => {
    const policy = forbidding('context.compensates');
    const asks = judgement('require_approval', {
      requirements: [
        REQUIREMENT,
        { ...REQUIREMENT, policy: 'again' },
        { ...REQUIREMENT, roles: ['a', 'b'], quorum: 2 },
      ],
    });
    expect(counterfactuals(policy, facts, asks, () => asks, 10).changes).toEqual([
      {
        changes: [{ kind: 'approval', text: '1 of dba, and 2 of a or b approve' }],
        effect: 'allow',
        reason: 'lifted by those who approve',
      },
    ]);
    expect(counterfactuals(policy, facts, judgement('allow'), () => judgement('allow'), 10).changes).toEqual([]);
  });

  test('are amounts, at a limit alone, lowered as far as makes it more possible', () => {
    const policy = forbidding('context.compensates');
    const over = judgement('deny', { code: 'LIMIT_EXCEEDED' });
    const given: Facts = { ...facts, input: { a: { b: 9 } } };
    const amountOf = ({ input = {} }: Facts): number => (input['a'] as { readonly b: number }).b;
    const found = (judged: Judgement, effect: (facts: Facts) => JudgedEffect) =>
      counterfactuals(policy, given, judged, (at) => judgement(effect(at)), 1000).changes.map(
        ({ changes, effect: to }) => [changes[0]?.kind, changes[0]?.text, to],
      );
    const fits = (at: Facts): JudgedEffect => (amountOf(at) <= 4 ? 'allow' : 'deny');
    expect(found(over, fits)).toEqual([['input', 'a.b of the input is 4', 'allow']]);
    expect(found(DENIED, fits)).toEqual([]);
    // Less that is worse is no way out.
    expect(found(judgement('queue'), (at) => (amountOf(at) <= 4 ? 'deny' : 'queue'))).toEqual([]);
  });
});

describe('who judges', () => {
  const limited = (limits: string, more: Readonly<Record<string, string>> = {}) =>
    policyFromText({ 'a.cedar': PERMIT_ALL, 'limits.yaml': `limits:\n${limits}`, ...more });
  const MONEY =
    '  money: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 10, window: 1d, when: operation == "update"}\n';

  test('is the policy alone by default, for which figures are facts', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
    const facts = factsOf();
    const decision = evaluate(policy, facts);
    expect(judgeOf(policy)(facts)).toEqual({ effect: 'allow', reason: decision.reason, decision, facts });
  });

  test('are the limits too: what none applies to is judged by the policy, on what it declares of the input', () => {
    const policy = limited(MONEY, { 'schema.cedarschema': schemaWith('amount?: Long') });
    const judge = limitJudgeOf(policy, { figures: [] });
    const facts: Facts = { ...factsOf({ operation: 'other' }), input: { amount: 3, more: 'x' }, limits: [] };
    const { limits: _limits, ...rest } = facts;
    const seen = { ...rest, input: { amount: 3 } };
    const decision = evaluate(policy, seen);
    expect(judge(facts)).toEqual({ effect: 'allow', reason: decision.reason, decision, facts: seen });
    const undeclared = limitJudgeOf(limited(MONEY), { figures: [] })(facts);
    expect(undeclared?.facts).not.toHaveProperty('input');
    expect(lackingFigures(policy, { figures: [] }, facts)).toEqual([]);
  });

  test('denies an input that does not fit what the policy declares, before any limit', () => {
    const policy = limited(MONEY, { 'schema.cedarschema': schemaWith('amount?: Long') });
    const judged = limitJudgeOf(policy, { figures: [] })({ ...factsOf(), input: { amount: 'much' } });
    expect(judged).toMatchObject({
      effect: 'deny',
      decision: { code: 'POLICY_ERROR' },
      reason: expect.stringContaining('amount') as string,
    });
  });

  test('knows the agents above and the caps of delegations, where they are given', () => {
    const policy = limited('  deep: {kind: depth, max: 1}\n');
    const facts = factsOf({ agent: { via: ['root', 'middle'] } });
    expect(limitJudgeOf(policy, { figures: [] })(facts)).toMatchObject({
      effect: 'deny',
      decision: { code: 'LIMIT_EXCEEDED', violations: [{ policy: 'limit:deep' }] },
      facts: { limits: [{ limit: 'deep', used: 2, max: 1, fits: false }] },
    });
    const capped = limited('  few: {kind: count, scope: trace, max: 5, window: 1d}\n');
    const authority = { credentials: [], caps: [{ jti: 'j', actions: 3 }], above: [] };
    const lacks = lackingFigures(capped, { figures: [], traceId: 't1', authority }, factsOf());
    expect(lacks.map(({ limit, key }) => [limit, key])).toEqual([
      ['few', 'trace=t1'],
      ['delegation:j', ''],
    ]);
  });

  test('tells of the counters that are not known those alone', () => {
    const policy = limited(
      '  few: {kind: count, scope: agent, max: 5, window: 1d}\n  all: {kind: count, scope: tenant, max: 5, window: 1d}\n',
    );
    const known = {
      limit: 'few',
      key: 'agent=test-agent',
      kind: 'count' as const,
      max: 5,
      used: 1,
      held: 0,
      fits: true,
    };
    expect(lackingFigures(policy, { figures: [known] }, factsOf()).map(({ limit }) => limit)).toEqual(['all']);
    expect(limitJudgeOf(policy, { figures: [known] })(factsOf())).toBeUndefined();
    const all = { ...known, limit: 'all', key: '' };
    expect(lackingFigures(policy, { figures: [known, all] }, factsOf())).toEqual([]);
    expect(limitJudgeOf(policy, { figures: [known, all] })(factsOf())?.facts.limits).toMatchObject([
      { limit: 'few', used: 1, left: 4 },
      { limit: 'all', used: 1, left: 4 },
    ]);
  });
});

describe('an explanation', () => {
  const policy = policyFromText({
    'a.cedar': `@id("all") permit (principal, action, resource);
@id("never") forbid (principal, action, resource) when { context.rows > 5 };
@id("other") forbid (principal, action == Countersign::Action::"READ", resource);`,
  });

  test('is what the decision and each rule say, with their places and nothing else', () => {
    const facts = factsOf({ preview: { rows: 9 } });
    const decision = evaluate(policy, facts);
    expect(explain(policy, facts)).toEqual({
      decision,
      effect: 'deny',
      reason: decision.reason,
      rules: [
        { id: 'all', at: 'a.cedar:1:1', kind: 'permit', matches: 'yes', determined: false },
        { id: 'never', at: 'a.cedar:2:1', kind: 'forbid', matches: 'yes', determined: true },
      ],
      elsewhere: 1,
      limits: [],
      history: [],
      changes: [{ changes: [{ kind: 'rows', text: 'it touches 5 rows' }], effect: 'allow', reason: 'allowed by all' }],
      cut: false,
    } satisfies ReturnType<typeof explain>);
  });

  test('decides no more often than is said, and 3,000 times by default', () => {
    const facts = factsOf({ preview: { rows: 9 } });
    expect(explain(policy, facts, { mostDecisions: 1 }).cut).toBe(true);
    let asked = 0;
    const judge = () => {
      asked++;
      return judgement('deny');
    };
    const names = JSON.stringify(Array.from({ length: 40 }, (_, i) => `n${i}`));
    const wide = policyFromText({
      'a.cedar': `@id("f") forbid (principal, action, resource)
when { ${names}.contains(context.operation) || context.targets.containsAny(${names}) || ${names}.contains(context.environment) };`,
    });
    expect(explain(wide, factsOf(), { judge }).cut).toBe(true);
    expect(asked).toBe(3001);
  });

  test('is refused where the figures of its limits are not known, saying what to give', () => {
    expect(() => explain(policy, factsOf(), { judge: () => undefined })).toThrow(
      expect.objectContaining({
        code: 'POLICY_ERROR',
        field: 'facts.limits',
        expected: 'a figure of every counter',
        fix: 'Give them, or read them from the ledger.',
      }) as Error,
    );
  });

  test('has the history and the limits that were given, and no rules where the facts fit no request', () => {
    const history = [{ fact: 'f', done: 1, underWay: 0, possible: 1, text: '' }];
    expect(explain(policy, { ...factsOf(), history })).toMatchObject({ history });
    expect(explain(policy, { ...factsOf(), now: 'never' })).toMatchObject({ rules: [], elsewhere: 3 });
  });
});
