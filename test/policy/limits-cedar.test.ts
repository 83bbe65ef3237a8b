/** `context.limits`: what Cedar policies can read of limits, and that a mistake in doing so is found at load. */
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import type { LimitFigure } from '../../src/action/limits.js';
import { bundleFromFiles, compilePolicy, evaluate, loadBundle, starterFolder } from '../../src/policy/index.js';
import { anAgent, aTool, enforce, policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { limited } from './limits-example.js';

const schema = (await loadBundle(starterFolder())).files['schema.cedarschema'] ?? '';
const without = schema.replace(/^\s*limits: Limits,.*$/m, '').replaceAll(/^\/\/.*Limits.*$/gm, '//');

const LIMITS = `refunds-per-day: {kind: budget, scope: agent, amount: input.amount, unit: EUR, max: 500, window: 1d}
deep: {kind: depth, max: 3}`;
const ASKING = `@id("reserve") @reason("the last 100 EUR need a lead") @approval("lead")
forbid (principal, action, resource)
when { context.limits has "refunds-per-day" && context.limits["refunds-per-day"].left < 100 };`;

function figure(given: Partial<LimitFigure> = {}): LimitFigure {
  return {
    limit: 'refunds-per-day',
    key: 'agent=a',
    kind: 'budget',
    max: 500,
    used: 0,
    held: 0,
    left: 500,
    fits: true,
    text: '',
    ...given,
  };
}

function facts(...limits: readonly LimitFigure[]): Facts {
  return { ...factsOf(), limits };
}

/** Whether a condition on `context.limits["refunds-per-day"]`, here `x`, holds. */
function holds(condition: string, ...limits: readonly LimitFigure[]): boolean {
  const text = condition.replaceAll(/\bx\b/g, 'context.limits["refunds-per-day"]');
  const policy = policyFromText({
    'limits.yaml':
      'limits:\n  refunds-per-day: {kind: budget, scope: agent, amount: "1", unit: EUR, max: 500, window: 1d}\n',
    'a.cedar': `@id("a") permit (principal, action, resource) when { context.limits has "refunds-per-day" && ${text} };`,
  });
  const decision = evaluate(policy, facts(...limits));
  expect(decision.errors).toEqual([]);
  return decision.effect === 'allow';
}

describe('a policy', () => {
  const policy = limited(LIMITS, { 'asking.cedar': ASKING });

  test('decides by what is left', () => {
    expect(evaluate(policy, facts(figure({ left: 380 }))).effect).toBe('allow');
    expect(evaluate(policy, facts(figure({ left: 99 })))).toMatchObject({
      effect: 'require_approval',
      policies: ['reserve'],
    });
  });

  test('finds a limit absent that does not apply to the action, or was not read', () => {
    expect(evaluate(policy, facts()).effect).toBe('allow');
    expect(evaluate(policy, factsOf()).effect).toBe('allow');
    expect(evaluate(policy, facts(figure({ limit: 'deep', left: 0 }))).effect).toBe('allow');
  });

  test('reads integers: what is left rounded down, what is used or held rounded up', () => {
    expect(
      holds('x.left == 99 && x.used == 401 && x.held == 1', figure({ left: 99.999, used: 400.001, held: 0.1 })),
    ).toBe(true);
    expect(holds('x.max == 500 && x.fits', figure())).toBe(true);
    expect(holds('!x.fits', figure({ fits: false }))).toBe(true);
    expect(holds('x.left == 9007199254740991', figure({ left: Infinity }))).toBe(true);
    expect(holds('x.left == 9007199254740991', figure({ left: 1e300 }))).toBe(true);
  });

  test('reads the tightest of several counters', () => {
    expect(holds('x.left == 5', figure({ left: 50 }), figure({ left: 5 }), figure({ left: 70 }))).toBe(true);
    expect(
      holds('x.left == 50 && !x.fits', figure({ left: 5 }), figure({ left: 50, fits: false }), figure({ left: 3 })),
    ).toBe(true);
  });

  test('denies when a figure is not a number', () => {
    for (const left of [Number.NaN, '5', null, undefined]) {
      const decision = evaluate(policy, facts(figure({ left: left as number })));
      expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
      expect(decision.reason).toContain('refunds-per-day');
    }
  });

  test('can be evaluated again later on the recorded facts, and so can a policy with other limits', () => {
    const recorded = JSON.parse(
      JSON.stringify(facts(figure({ left: 20 }), figure({ limit: 'delegation:d1', left: 0 }))),
    ) as Facts;
    expect(evaluate(policy, recorded).effect).toBe('require_approval');
    expect(evaluate(policyFromText({ 'a.cedar': PERMIT_ALL }), recorded).effect).toBe('allow');
    const other = limited('another: {kind: depth, max: 1}', {
      'a.cedar': '@id("b") forbid (principal, action, resource) when { context.limits has "another" };',
    });
    expect(evaluate(other, recorded).effect).toBe('allow');
  });

  test('can be evaluated in a unit test with given figures', () => {
    const proposal = { tool: 'shop-db', input: { amount: 20 } };
    const context = { policy, agent: anAgent(), tool: aTool(), actionType: 'WRITE' as const };
    expect(enforce(proposal, { ...context, limits: [figure({ left: 1 })] }).effect).toBe('require_approval');
    expect(enforce(proposal, context).effect).toBe('allow');
  });
});

describe('is refused at load, with its place, when it', () => {
  const load = (policy: string) => () => limited(LIMITS, { 'b.cedar': `@id("b") ${policy}` });
  test.each([
    [
      'misspells a limit',
      'forbid (principal, action, resource) when { context.limits has "refund-per-day" && context.limits["refund-per-day"].left < 1 };',
    ],
    [
      'asks for what a figure has not',
      'forbid (principal, action, resource) when { context.limits has deep && context.limits.deep.rest < 1 };',
    ],
    [
      'does not ask whether the limit is there',
      'forbid (principal, action, resource) when { context.limits.deep.left < 1 };',
    ],
    [
      'compares with a text',
      'forbid (principal, action, resource) when { context.limits has deep && context.limits.deep.left == "1" };',
    ],
  ])('%s', (_, policy) => {
    expect(load(policy)).toThrow(/b\.cedar:1:\d+/);
  });

  test('names a limit that a change of limits.yaml removed', () => {
    expect(() => limited(LIMITS, { 'asking.cedar': ASKING })).not.toThrow();
    expect(() => limited('deep: {kind: depth, max: 3}', { 'asking.cedar': ASKING })).toThrow(/asking\.cedar/);
  });
});

describe('a schema', () => {
  const bundle =
    (text: string, limits = `limits:\n${LIMITS.replaceAll(/^/gm, '  ')}\n`, cedar = PERMIT_ALL) =>
    () =>
      compilePolicy(bundleFromFiles({ 'schema.cedarschema': text, 'a.cedar': cedar, 'limits.yaml': limits }));

  test('without `limits` gets none, whatever limits exist', () => {
    expect(without).not.toContain('Limits');
    const policy = bundle(without)();
    expect(evaluate(policy, facts(figure())).effect).toBe('allow');
  });

  test('may declare `limits` as optional, for some actions only, or through its own types', () => {
    const optional = schema.replace('limits: Limits,', 'limits?: Limits,');
    expect(evaluate(bundle(optional)(), facts(figure())).effect).toBe('allow');
    const some = schema
      .replace(
        'type Facts = {',
        'type Plain = {\n' +
          (/type Facts = \{([^}]*)\}/.exec(without)?.[1] ?? '') +
          '};\n  type Alias = Facts;\n  type Facts = {',
      )
      .replace(
        'action READ, WRITE, DELETE, CALL_API',
        'action READ appliesTo { principal: Agent, resource: Tool, context: Plain };\n  action WRITE, DELETE, CALL_API',
      )
      .replace('context: Facts', 'context: Alias');
    const policy = bundle(
      some,
      undefined,
      `${PERMIT_ALL}@id("b") forbid (principal, action == Countersign::Action::"WRITE", resource) when { context.limits has deep };`,
    )();
    expect(evaluate(policy, { ...facts(figure()), actionType: 'READ' }).effect).toBe('allow');
    expect(evaluate(policy, facts(figure())).effect).toBe('allow');
    expect(evaluate(policy, facts(figure({ limit: 'deep' }))).effect).toBe('deny');
  });

  test('may declare the type itself, which must then contain every limit', () => {
    const own = (ids: readonly string[]): string =>
      `${schema}\ntype Limits = { ${ids.map((id) => `"${id}"?: { max: Long, used: Long, held: Long, left: Long, fits: Bool }`).join(', ')} };\n`;
    expect(bundle(own(['refunds-per-day', 'deep', 'later']))).not.toThrow();
    expect(bundle(own(['refunds-per-day']))).toThrow(/schema\.cedarschema: it does not describe the facts/);
    expect(bundle(schema.replace('limits: Limits,', 'limits: { deep?: Long },'))).toThrow(/schema\.cedarschema/);
  });

  test('keeps its own lines and columns in errors', () => {
    const broken = schema.replace('now: datetime', 'now: dateTime');
    const line = broken.split('\n').findIndex((text) => text.includes('dateTime')) + 1;
    expect(bundle(broken)).toThrow(/dateTime/);
    expect(bundle(schema.replace('entity Role;', 'entity Role'))).toThrow(/schema\.cedarschema:\d+:\d+/);
    expect(line).toBeGreaterThan(1);
  });

  test('with another type named Limits stays unchanged', () => {
    const text = without.replace('entity Role;', 'entity Role;\n  entity Limits;');
    expect(bundle(text)).not.toThrow();
  });
});
