/** Slices change what a decision costs, never what it is: sliced Cedar and Cedar with every policy always agree. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES, type Facts } from '../../src/action/decision.js';
import { newCedar } from '../../src/policy/cedar.js';
import type { Policy } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { STARTER_SCHEMA } from './input-example.js';
import { runs } from '../support/properties.js';

const NAMES = ['a', 'b', 'C'] as const;
const name = fc.constantFrom(...NAMES);
const entity = (type: string) => name.map((id) => `Countersign::${type}::"${id}"`);

const principal = fc.oneof(
  fc.constant('principal'),
  entity('Role').map((role) => `principal in ${role}`),
  entity('Role').map((role) => `principal is Countersign::Agent in ${role}`),
  entity('Agent').map((agent) => `principal == ${agent}`),
  entity('Agent').map((agent) => `principal in ${agent}`),
);
const resource = fc.oneof(
  fc.constant('resource'),
  entity('Tool').map((tool) => `resource == ${tool}`),
  entity('Tool').map((tool) => `resource in ${tool}`),
  fc.constant('resource is Countersign::Tool'),
);
const action = fc.oneof(
  fc.constant('action'),
  fc.constantFrom(...ACTION_TYPES).map((type) => `action == Countersign::Action::"${type}"`),
  fc
    .subarray([...ACTION_TYPES], { minLength: 1 })
    .map((types) => `action in [${types.map((type) => `Countersign::Action::"${type}"`).join(', ')}]`),
);
const set = fc.array(name, { minLength: 1, maxLength: 2 }).map((names) => JSON.stringify(names));

/** What slices are made by, what they cannot be made by, and what fails: an overflow. */
const condition = fc.oneof(
  name.map((one) => `context.operation == "${one}"`),
  name.map((one) => `"${one}" == context.operation`),
  name.map((one) => `context.environment == "${one}"`),
  set.map((list) => `${list}.contains(resource.environment)`),
  set.map((list) => `${list}.contains(context.operation)`),
  name.map((one) => `context.targets.contains("${one}")`),
  set.map((list) => `context.targets.containsAny(${list})`),
  set.map((list) => `context.targets.containsAll(${list})`),
  name.map((one) => `context.operation != "${one}"`),
  entity('Role').map((role) => `principal in ${role}`),
  fc.integer({ min: 0, max: 3 }).map((rows) => `context.rows > ${rows}`),
  fc.constant('context.rows + 9223372036854775806 > 0'),
  fc.constant('context.schemaChange'),
);
const conjunction = fc.array(condition, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(' && '));
const clause = fc.oneof(
  conjunction.map((body) => `when { ${body} }`),
  conjunction.map((body) => `unless { ${body} }`),
  fc.tuple(condition, condition).map(([a, b]) => `when { ${a} || ${b} }`),
  fc.tuple(condition, condition, condition).map(([a, b, c]) => `when { ${a} && (${b} || ${c}) }`),
);
const rule = fc.record({
  effect: fc.constantFrom('permit', 'permit', 'forbid', 'soft'),
  principal,
  action,
  resource,
  clauses: fc.array(clause, { maxLength: 2 }),
});

const facts: fc.Arbitrary<Facts> = fc
  .record({
    id: name,
    roles: fc.subarray([...NAMES]),
    tool: name,
    environment: name,
    operation: name,
    actionType: fc.constantFrom(...ACTION_TYPES),
    targets: fc.subarray([...NAMES]),
    rows: fc.integer({ min: 0, max: 4 }),
    schemaChange: fc.boolean(),
  })
  .map(({ id, roles, tool, environment, operation, actionType, targets, rows, schemaChange }) =>
    factsOf({
      agent: { id, roles },
      tool: { name: tool, environment },
      operation,
      actionType,
      preview: { targets, rows, schemaChange },
    }),
  );

/** Cedar as it is, with every policy. */
function unsliced(policy: Policy, all: Facts, soft: boolean) {
  const { actionType: _, ...request } = policy.request(all);
  const rules = policy.rules.filter((one) => soft || one.approvals === undefined);
  const answer = cedar.isAuthorized({
    ...request,
    policies: { staticPolicies: Object.fromEntries(rules.map(({ id, text }) => [id, text])) },
    schema: `${STARTER_SCHEMA}\ntype Limits = {};\ntype History = {};`,
    validateRequest: true,
  });
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
  return comparable(answer.response);
}

function comparable({ decision, diagnostics }: ReturnType<Policy['ask']>) {
  const errors = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`);
  return { decision, reason: [...diagnostics.reason].sort(), errors: errors.sort() };
}

const cedar = newCedar();

test(
  'with any policies and any facts: decision, determining policies and errors are those of all of Cedar',
  { timeout: 240_000 },
  () => {
    const seen = { allow: 0, deny: 0, errors: 0, left: 0 };
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 12 }),
        fc.array(facts, { minLength: 8, maxLength: 8 }),
        (rules, many) => {
          const texts = rules.map(({ effect, clauses, ...scope }, i) => {
            const soft = effect === 'soft' ? '@reason("ask") @approval("dba") ' : '';
            const head = `${effect === 'soft' ? 'forbid' : effect} (${scope.principal}, ${scope.action}, ${scope.resource})`;
            return `@id("r${i}") ${soft}${head} ${clauses.join(' ')};`;
          });
          let policy: Policy;
          try {
            policy = policyFromText({ 'a.cedar': texts.join('\n') });
          } catch {
            // Cedar finds some conditions impossible, and refuses them.
            fc.pre(false);
            throw new Error('unreachable');
          }
          for (const one of many) {
            const request = policy.request(one);
            seen.left += policy.rules.length - policy.slice(request).length;
            const sliced = comparable(policy.ask(request, 'all'));
            expect(sliced).toEqual(unsliced(policy, one, true));
            expect(comparable(policy.ask(request, 'without-soft'))).toEqual(unsliced(policy, one, false));
            seen[sliced.decision]++;
            seen.errors += sliced.errors.length;
          }
        },
      ),
      { numRuns: runs(25) },
    );
    // It compared something: all kinds of answers came, and policies were left out.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  },
);

describe('a slice', () => {
  const sizes = (text: string, given: Parameters<typeof factsOf>[0]) => {
    const policy = policyFromText({ 'a.cedar': text });
    return policy.slice(policy.request(factsOf(given))).map(({ id }) => id);
  };
  const forbid = (id: string, rest: string) => `@id("${id}") forbid (${rest};\n`;

  test.each([
    ['the tool', 'principal, action, resource == Countersign::Tool::"x")', { tool: { name: 'x' } }],
    ['the agent', 'principal == Countersign::Agent::"x", action, resource)', { agent: { id: 'x' } }],
    ['the role', 'principal in Countersign::Role::"x", action, resource)', { agent: { roles: ['y', 'x'] } }],
    [
      'a target',
      'principal, action, resource) when { context.targets.contains("x") }',
      { preview: { targets: ['X', 'y'] } },
    ],
    ['the operation', 'principal, action, resource) when { context.operation == "x" }', { operation: 'x' }],
    [
      'the environment',
      'principal, action, resource) when { ["x"].contains(resource.environment) }',
      { tool: { environment: 'x' } },
    ],
  ])('leaves out what is for another one: %s', (_, rest, given) => {
    const text = PERMIT_ALL + forbid('x', rest) + forbid('z', rest.replaceAll('"x"', '"z"'));
    expect(sizes(text, given)).toEqual(['permit-all', 'x']);
  });

  test('leaves out nothing behind a condition that can fail', () => {
    const text =
      PERMIT_ALL +
      forbid('z', 'principal, action, resource) when { context.rows + 1 > 0 && context.operation == "z" }');
    expect(sizes(text, {})).toEqual(['permit-all', 'z']);
  });
});
