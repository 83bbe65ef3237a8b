/** Which policies a decision looks at: one is left out where its scope, or what it asks before anything that can fail, is certainly false; never otherwise. */
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES, type ActionType } from '../../src/action/decision.js';
import { newCedar } from '../../src/policy/cedar.js';
import type { Rule } from '../../src/policy/index.js';
import { toCedarRequest } from '../../src/policy/request.js';
import { scopeOf, uidOf } from '../../src/policy/scope.js';
import { RuleIndex } from '../../src/policy/slices.js';
import { factsOf, type FactsGiven } from './facts.js';

const cedar = newCedar();

function ruleOf(id: string, text: string, actions: readonly ActionType[] = ACTION_TYPES): Rule {
  const parsed = cedar.policyToJson(text);
  if (parsed.type === 'failure') throw new Error(`${text}: ${JSON.stringify(parsed.errors)}`);
  const place = { file: 'a.cedar', line: 1, column: 1 };
  return {
    id,
    effect: 'forbid',
    json: parsed.json,
    actions: new Set(actions),
    constraints: [],
    text,
    place,
    offset: 0,
  };
}

const policy = (scope: string, conditions = '') => `forbid (${scope}) ${conditions};`;
const when = (condition: string) => policy('principal, action, resource', `when { ${condition} }`);

/** The ids of the policies that are looked at. */
function sliced(rules: readonly Rule[], given: FactsGiven = {}): readonly string[] {
  return new RuleIndex(rules).candidates(toCedarRequest(factsOf(given))).map(({ id }) => id);
}
const isIn = (text: string, given: FactsGiven): boolean => sliced([ruleOf('one', text)], given).length === 1;

describe('a policy is looked at where it may apply, and left out where it cannot, by', () => {
  const X = { preview: { targets: ['y', 'x'] } };
  test.each<[string, string, FactsGiven, FactsGiven]>([
    [
      'the tool',
      policy('principal, action, resource == Countersign::Tool::"x"'),
      { tool: { name: 'x' } },
      { tool: { name: 'y' } },
    ],
    [
      'a tool in itself',
      policy('principal, action, resource in Countersign::Tool::"x"'),
      { tool: { name: 'x' } },
      { tool: { name: 'y' } },
    ],
    [
      'the agent',
      policy('principal == Countersign::Agent::"x", action, resource'),
      { agent: { id: 'x' } },
      { agent: { id: 'y' } },
    ],
    [
      'the role',
      policy('principal in Countersign::Role::"x", action, resource'),
      { agent: { roles: ['y', 'x'] } },
      { agent: { roles: ['y'], id: 'x' } },
    ],
    [
      'the role of what is an agent',
      policy('principal is Countersign::Agent in Countersign::Role::"x", action, resource'),
      { agent: { roles: ['x'] } },
      { agent: { roles: [] } },
    ],
    ['a target', when('context.targets.contains("x")'), X, { preview: { targets: ['y'] }, operation: 'x' }],
    ['one of targets', when('context.targets.containsAny(["z", "x"])'), X, { preview: { targets: ['y'] } }],
    [
      'the operation',
      when('context.operation == "x"'),
      { operation: 'x' },
      { operation: 'y', tool: { environment: 'x' } },
    ],
    ['the operation, the other way', when('"x" == context.operation'), { operation: 'x' }, { operation: 'y' }],
    ['one of operations', when('["z", "x"].contains(context.operation)'), { operation: 'x' }, { operation: 'y' }],
    [
      'the environment',
      when('context.environment == "x"'),
      { tool: { environment: 'x' } },
      { tool: { environment: 'y' }, operation: 'x' },
    ],
    [
      'the environment of the tool',
      when('resource.environment == "x"'),
      { tool: { environment: 'x' } },
      { tool: { environment: 'y' } },
    ],
    [
      'one of environments',
      when('["z", "x"].contains(resource.environment)'),
      { tool: { environment: 'x' } },
      { tool: { environment: 'y' } },
    ],
    [
      'a second condition',
      when('context.operation == "x" && context.environment == "e"'),
      { operation: 'x', tool: { environment: 'e' } },
      { operation: 'x', tool: { environment: 'f' } },
    ],
    [
      'a second clause',
      policy('principal, action, resource', 'when { context.operation == "x" } when { context.targets.contains("t") }'),
      { operation: 'x', preview: { targets: ['t'] } },
      { operation: 'x', preview: { targets: ['u'] } },
    ],
    [
      'all of its scope',
      policy('principal in Countersign::Role::"r", action, resource == Countersign::Tool::"x"'),
      { tool: { name: 'x' }, agent: { roles: ['r'] } },
      { tool: { name: 'x' }, agent: { roles: ['s'] } },
    ],
    [
      'the agent and the tool',
      policy('principal == Countersign::Agent::"a", action, resource == Countersign::Tool::"x"'),
      { agent: { id: 'a' }, tool: { name: 'x' } },
      { agent: { id: 'a' }, tool: { name: 'y' } },
    ],
    [
      'its scope and its condition',
      policy('principal == Countersign::Agent::"a", action, resource', 'when { context.targets.contains("t") }'),
      { agent: { id: 'a' }, preview: { targets: ['t'] } },
      { agent: { id: 'a' }, preview: { targets: ['u'] } },
    ],
    [
      'the operation beside a target',
      when('context.targets.contains("t") && context.operation == "x"'),
      { operation: 'x', preview: { targets: ['t'] } },
      { operation: 'y', preview: { targets: ['t'] } },
    ],
    [
      'the role beside an operation',
      policy('principal in Countersign::Role::"r", action, resource', 'when { context.operation == "x" }'),
      { operation: 'x', agent: { roles: ['r'] } },
      { operation: 'x', agent: { roles: [] } },
    ],
  ])('%s', (_, text, is, isNot) => {
    expect([isIn(text, is), isIn(text, isNot)]).toEqual([true, false]);
  });
});

describe('a policy is looked at, whatever the facts, where', () => {
  test.each([
    ['it has no condition', policy('principal, action, resource')],
    [
      'it speaks of any agent and any tool',
      policy('principal is Countersign::Agent, action, resource is Countersign::Tool'),
    ],
    ['what comes first can fail', when('context.rows + 1 > 0 && context.operation == "z"')],
    ['it says unless', policy('principal, action, resource', 'unless { context.operation == "z" }')],
    [
      'it says unless first',
      policy('principal, action, resource', 'unless { context.rows > 5 } when { context.operation == "z" }'),
    ],
    ['one of two will do', when('context.operation == "z" || context.rows > 5')],
    ['it is the other operation', when('context.operation != "z"')],
    ['it is no operation that is written out', when('context.operation == context.environment')],
    ['some of its list is not written out', when('["z", context.environment].contains(context.operation)')],
    ['its list is not written out', when('context.roles.contains(context.operation)')],
    ['the targets are not written out', when('context.targets.containsAny(context.reads)')],
    ['the target is not written out', when('context.targets.contains(context.operation)')],
    ['it is what is read', when('context.reads.contains("z")')],
    ['it is any of what is read', when('context.reads.containsAny(["z"])')],
    ['all targets are asked for', when('context.targets.containsAll(["z"])')],
    ['a list is compared with another attribute', when('["z"].contains(resource.kind)')],
    ['it is another attribute', when('resource.kind == "z"')],
    ['an attribute of the agent has the name', when('principal.environment == "z"')],
    ['an attribute of the tool has the name', when('resource.operation == "z"')],
    ['an attribute within has the name', when('context.input.operation == "z"')],
    ['it compares numbers', when('context.rows == 5')],
    ['it is a truth', when('context.schemaChange')],
  ])('%s', (_, text) => {
    expect(isIn(text, {})).toBe(true);
    expect(isIn(text, { operation: 'q', tool: { environment: 'q', name: 'q' }, preview: { targets: [] } })).toBe(true);
  });
});

describe('a slice', () => {
  test('has the policies in the order of the bundle, each once, whichever of their keys found them', () => {
    const rules = [
      ruleOf('any', policy('principal, action, resource')),
      ruleOf('targets', when('context.targets.containsAny(["a", "b"])')),
      ruleOf('tool', policy('principal, action, resource == Countersign::Tool::"t"')),
      ruleOf('environment', when('["e", "f"].contains(context.environment)')),
      ruleOf('operation', when('context.operation == "o"')),
      ruleOf('role', policy('principal in Countersign::Role::"r", action, resource')),
      ruleOf('agent', policy('principal == Countersign::Agent::"p", action, resource')),
      ruleOf('last', policy('principal, action, resource')),
    ];
    const given = {
      agent: { id: 'p', roles: ['q', 'r'] },
      tool: { name: 't', environment: 'f' },
      operation: 'o',
      preview: { targets: ['b', 'a'] },
    };
    expect(sliced(rules, given)).toEqual(rules.map(({ id }) => id));
    expect(sliced(rules.toReversed(), given)).toEqual(rules.map(({ id }) => id).toReversed());
    expect(sliced(rules)).toEqual(['any', 'last']);
  });

  test('has only those whose scope is about the action', () => {
    const rules = [
      ruleOf('reads', policy('principal, action, resource'), ['READ']),
      ruleOf('all', policy('principal, action, resource')),
    ];
    expect(sliced(rules, { actionType: 'READ' })).toEqual(['reads', 'all']);
    expect(sliced(rules, { actionType: 'WRITE' })).toEqual(['all']);
  });
});

describe('a scope', () => {
  const scope = (text: string) => scopeOf(ruleOf('a', policy(text)).json);
  test.each([
    ['principal, action, resource', {}],
    ['principal == Countersign::Agent::"a", action, resource == Countersign::Tool::"t"', { agent: 'a', tool: 't' }],
    ['principal in Countersign::Agent::"a", action, resource in Countersign::Tool::"t"', { agent: 'a', tool: 't' }],
    ['principal in Countersign::Role::"r", action, resource', { role: 'r' }],
    ['principal == Countersign::Role::"r", action, resource', { role: 'r' }],
    ['principal is Countersign::Agent, action, resource is Countersign::Tool', {}],
    [
      'principal is Countersign::Agent in Countersign::Role::"r", action, resource is Countersign::Tool in Countersign::Tool::"t"',
      { role: 'r', tool: 't' },
    ],
    ['principal in Countersign::Team::"x", action, resource in Countersign::Shelf::"y"', {}],
    ['principal == Countersign::Tool::"t", action, resource == Countersign::Agent::"a"', {}],
  ])('(%s) is exactly that', (text, expected) => {
    expect(scope(text)).toEqual(expected);
  });

  test('names an entity whichever way Cedar writes it', () => {
    const entity = { type: 'T', id: 'x' };
    expect([uidOf(entity), uidOf({ __entity: entity })]).toEqual([entity, entity]);
  });
});
