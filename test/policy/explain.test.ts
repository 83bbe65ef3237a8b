/** Explaining a decision: every rule that can apply, and changes that really change it. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../src/policy/authoring/explain/explain.js';
import { lackingFigures, limitJudgeOf } from '../../src/policy/authoring/explain/judge.js';
import { evaluate, type Policy } from '../../src/policy/index.js';
import { loadStarterPolicy, policyFromText } from '../../src/testing/index.js';
import { factsOf } from './facts.js';
import { STARTER_SCHEMA } from './input-example.js';

let policy: Policy;
beforeAll(async () => {
  policy = await loadStarterPolicy();
});

const changesOf = (explanation: ReturnType<typeof explain>) =>
  explanation.changes.map(({ changes, effect }) => `${effect}: ${changes.map(({ text }) => text).join(' + ')}`);

describe('the starter bundle', () => {
  const large = factsOf({
    agent: { roles: ['admin_user'] },
    tool: { environment: 'production' },
    preview: { rows: 500 },
  });

  test('tells of each rule whether it matches, and which determined the decision', () => {
    const { decision, rules, elsewhere } = explain(policy, large);
    expect(decision).toEqual(evaluate(policy, large));
    expect(rules.map(({ id, kind, matches, determined }) => [id, kind, matches, determined])).toEqual([
      ['production-large-change', 'soft forbid', 'yes', true],
      ['production-schema-change', 'soft forbid', 'no', false],
      ['admin-user', 'permit', 'yes', false],
      ['schema-changes', 'forbid', 'no', false],
      ['untrusted-source-leads-to-a-change', 'soft forbid', 'no', false],
    ]);
    expect(rules.length + elsewhere).toBe(policy.rules.length);
  });

  test('what asks for a dba is allowed with one, with fewer rows, or elsewhere', () => {
    const changes = changesOf(explain(policy, large));
    expect(changes).toContain('allow: 1 of dba approve');
    expect(changes).toContain('allow: it touches 100 rows');
    expect(changes).toContain('allow: it happens in staging');
    expect(changes).toContain('deny: the agent does not have the role admin_user');
    expect(changes.filter((one) => one.includes('rows'))).toHaveLength(1);
  });

  test('a role that is missing is named, and what a role cannot change is not', () => {
    const reader = factsOf({ agent: { roles: ['read_only_user'] }, tool: { environment: 'test' } });
    const changes = changesOf(explain(policy, reader));
    expect(changes).toEqual([
      'allow: the agent also has the role admin_user',
      'allow: the agent also has the role read_write_user',
    ]);
    const never = factsOf({ actionType: 'DELETE', agent: { roles: ['admin_user'] }, preview: { targets: ['users'] } });
    expect(changesOf(explain(policy, never))).toEqual(['allow: its target is one that no rule names']);
  });

  test('where one change is not enough, two are tried', () => {
    const both = factsOf({ actionType: 'DELETE', tool: { environment: 'test' }, preview: { targets: ['users'] } });
    expect(changesOf(explain(policy, both))).toEqual([
      'allow: the agent also has the role admin_user + its target is one that no rule names',
    ]);
  });
});

test('arguments are changed at the bounds that rules compare them with', () => {
  const refunds = policyFromText({
    'schema.cedarschema': STARTER_SCHEMA.replace(
      'type Facts = {',
      'type Input = { body?: { amount?: Long, currency?: String } };\n  type Facts = {\n    input?: Input,',
    ),
    'a.cedar': `@id("small") permit (principal, action, resource)
when { context has input.body.amount && context.input.body.amount <= 100 && context.input.body has currency && context.input.body.currency == "EUR" };`,
  });
  const facts = { ...factsOf(), input: { body: { amount: 250, currency: 'EUR' } } };
  expect(changesOf(explain(refunds, facts))[0]).toBe('allow: body.amount of the input is 99');
  const other = { ...factsOf(), input: { body: { amount: 250, currency: 'USD' } } };
  expect(changesOf(explain(refunds, other))).toEqual([]);
  const missing = { ...factsOf(), input: { body: { amount: 50 } } };
  expect(changesOf(explain(refunds, missing))).toEqual(['allow: body.currency of the input is "EUR"']);
});

test('a rule that cannot be evaluated is told as one, with its error', () => {
  const failing = policyFromText({
    'a.cedar': `@id("all") permit (principal, action, resource);
@id("fails") forbid (principal, action, resource) when { context.rows + 9223372036854775807 > 0 };`,
  });
  expect(explain(failing, factsOf()).rules).toMatchObject([
    { id: 'all', matches: 'yes', determined: false },
    { id: 'fails', matches: 'error', determined: true, error: expect.stringContaining('overflow') as string },
  ]);
});

test('facts that cannot be decided are explained as that, and nothing is made up', () => {
  const facts = { ...factsOf(), now: 'never' };
  expect(explain(policy, facts)).toMatchObject({
    decision: { effect: 'deny', code: 'POLICY_ERROR' },
    rules: [],
    changes: [],
  });
});

test('is the same each time, and no change keeps the effect', () => {
  fc.assert(
    fc.property(
      fc.record({
        roles: fc.subarray(['admin_user', 'read_write_user', 'read_only_user']),
        environment: fc.constantFrom('production', 'test'),
        rows: fc.constantFrom(0, 100, 101),
        schemaChange: fc.boolean(),
        target: fc.constantFrom('users', 'orders'),
        actionType: fc.constantFrom('READ' as const, 'WRITE' as const, 'DELETE' as const),
      }),
      ({ roles, environment, rows, schemaChange, target, actionType }) => {
        const facts = factsOf({
          agent: { roles },
          tool: { environment },
          actionType,
          preview: { rows, schemaChange, targets: [target] },
        });
        const [first, second] = [explain(policy, facts), explain(policy, facts)];
        expect(second).toEqual(first);
        for (const { effect } of first.changes) expect(effect).not.toBe(first.decision.effect);
      },
    ),
    { numRuns: 20 },
  );
});

describe('with limits, on figures that are known', () => {
  const limited = (atLimit: string, more = '') =>
    policyFromText({
      'a.cedar': '@id("all") permit (principal, action, resource);',
      'limits.yaml': `limits:
  rows: {kind: budget, scope: tenant, amount: input.extra.rows, unit: rows, max: 100, window: 1d, atLimit: ${atLimit}}
${more}`,
    });
  const figure = { key: '', max: 200, used: 60, held: 20, fits: true };
  const known = [{ ...figure, limit: 'rows', kind: 'budget' as const }];
  const facts = { ...factsOf({ preview: { rows: 30 } }), input: { extra: { rows: 40, name: 'x', other: 7 } } };
  const told = (policy: Policy, figures: Parameters<typeof limitJudgeOf>[1]['figures'] = known) =>
    explain(policy, facts, { judge: limitJudgeOf(policy, { figures }) });

  test('the bound is of the policy and what was used is of the figure: the largest numbers that would pass are told', () => {
    const explanation = told(limited('deny'));
    expect(explanation).toMatchObject({ effect: 'deny', decision: { code: 'LIMIT_EXCEEDED' }, cut: false });
    expect(explanation.limits).toMatchObject([{ limit: 'rows', max: 100, left: 20, fits: false }]);
    expect(changesOf(explanation)).toEqual(['allow: extra.rows of the input is 20']);
    expect(changesOf(told(limited('approve by dba')))).toEqual([
      'allow: 1 of dba approve',
      'allow: extra.rows of the input is 20',
    ]);
  });

  test('what may wait for room waits, and says for what', () => {
    const explanation = told(limited('queue for 1h'));
    expect(explanation).toMatchObject({ effect: 'queue', decision: { effect: 'allow' } });
    expect(explanation.reason).toContain('rows: 40 rows asked, 20 of 100 rows left');
  });

  test('a rate, a breaker and a concurrency are read as they stood', () => {
    const more = `  burst: {kind: rate, scope: tenant, max: 5, per: 1m}
  one: {kind: concurrency, scope: tenant, max: 1}
  failing: {kind: breaker, scope: tenant, window: 5m, minimum: 2, ratio: 0.5, open: 1m}
`;
    const plenty = { ...figure, limit: 'rows', kind: 'budget' as const, used: 0, held: 0 };
    const of = (burst: object, one: object, failing: object) => {
      const { decision, limits } = told(limited('deny', more), [
        plenty,
        { ...figure, limit: 'burst', kind: 'rate', max: 10, used: 4, ...burst },
        { ...figure, limit: 'one', kind: 'concurrency', max: 3, used: 0, held: 0, ...one },
        { ...figure, limit: 'failing', kind: 'breaker', max: 1, held: 0, state: 'closed', ...failing },
      ]);
      return [decision.code ?? decision.effect, ...limits.flatMap(({ limit, fits }) => (fits ? [] : [limit]))];
    };
    expect(of({}, {}, {})).toEqual(['allow']);
    expect(of({ used: 5 }, {}, {})).toEqual(['LIMIT_EXCEEDED', 'burst']);
    expect(of({}, { held: 1 }, {})).toEqual(['LIMIT_EXCEEDED', 'one']);
    expect(of({}, {}, { state: 'open' })).toEqual(['BREAKER_OPEN', 'failing']);
    expect(of({}, {}, { state: 'half_open', held: 1 })).toEqual(['BREAKER_OPEN', 'failing']);
  });

  test('what falls under a counter that is not known is not judged, and its demands are told', () => {
    const policy = limited('deny');
    expect(lackingFigures(policy, { figures: [] }, facts)).toMatchObject([{ limit: 'rows', amount: 40 }]);
    expect(() => told(policy, [])).toThrow(expect.objectContaining({ code: 'POLICY_ERROR', field: 'facts.limits' }));
  });

  test('a limit that cannot be evaluated for the action denies it, as in a worker', () => {
    const policy = limited('deny');
    const judge = limitJudgeOf(policy, { figures: known });
    expect(explain(policy, { ...facts, input: {} }, { judge })).toMatchObject({
      effect: 'deny',
      decision: { code: 'POLICY_ERROR' },
    });
  });
});
