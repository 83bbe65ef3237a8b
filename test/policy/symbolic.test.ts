/** What Cedar says for certain of an action of which only some is known. */
import { describe, expect, test } from 'vitest';
import { SymbolicPolicy, type SymbolicAction } from '../../src/policy/authoring/symbolic.js';
import { forbid, policyOf } from './lint-support.js';

describe('what is certain of an action of which only some is known', () => {
  const ANY = 'principal, action, resource';
  const WRITE: SymbolicAction = { actionType: 'WRITE' };
  const db = { name: 'db', kind: 'postgres', environment: 'live' };

  const cases: readonly (readonly [string, string, string, SymbolicAction, boolean | undefined])[] = [
    ['of any', ANY, '', WRITE, true],
    ['its type', 'principal, action == Countersign::Action::"WRITE", resource', '', WRITE, true],
    ['the agent alone', 'principal == Countersign::Agent::"bot", action, resource', '', WRITE, undefined],
    ['roles that are not known', 'principal in Countersign::Role::"r", action, resource', '', WRITE, undefined],
    ['its roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: ['r'] }, true],
    ['other roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: ['s'] }, false],
    ['no roles', 'principal in Countersign::Role::"r", action, resource', '', { ...WRITE, roles: [] }, false],
    ['its roles as texts', ANY, 'context.roles.contains("r")', { ...WRITE, roles: ['r'] }, true],
    ['roles as texts that are not known', ANY, 'context.roles.contains("r")', WRITE, undefined],
    ['its tenant', ANY, 'principal.tenant == "acme"', { ...WRITE, roles: [] }, undefined],
    ['its owner', ANY, 'principal has owner && principal.owner == "eve"', { ...WRITE, roles: [] }, undefined],
    ['a tool that is not known', 'principal, action, resource == Countersign::Tool::"db"', '', WRITE, undefined],
    ['its tool', 'principal, action, resource == Countersign::Tool::"db"', '', { ...WRITE, tool: db }, true],
    ['another tool', 'principal, action, resource == Countersign::Tool::"x"', '', { ...WRITE, tool: db }, false],
    ['its kind', ANY, 'resource.kind == "postgres"', { ...WRITE, tool: db }, true],
    ['another kind', ANY, 'resource.kind == "http"', { ...WRITE, tool: db }, false],
    [
      'a kind that is not known',
      ANY,
      'resource.kind == "http"',
      { ...WRITE, tool: { name: 'db', environment: 'live' } },
      undefined,
    ],
    ['its environment', ANY, 'resource.environment == "live"', { ...WRITE, tool: db }, true],
    ['its environment in the context', ANY, 'context.environment == "live"', { ...WRITE, tool: db }, true],
    ['another environment', ANY, 'context.environment == "test"', { ...WRITE, tool: db }, false],
    ['an environment that is not known', ANY, 'context.environment == "live"', WRITE, undefined],
    ['an environment alone', ANY, 'context.environment == "live"', { ...WRITE, tool: { environment: 'live' } }, true],
    ['its operation', ANY, 'context.operation == "o"', { ...WRITE, operation: 'o' }, true],
    ['another operation', ANY, 'context.operation == "p"', { ...WRITE, operation: 'o' }, false],
    ['an operation that is not known', ANY, 'context.operation == "p"', WRITE, undefined],
    ['rows', ANY, 'context.rows > 5', WRITE, undefined],
    ['targets', ANY, 'context.targets.contains("t")', WRITE, undefined],
    ['reads', ANY, 'context.reads.contains("t")', WRITE, undefined],
    ['a change of a schema', ANY, 'context.schemaChange', WRITE, undefined],
    ['the time', ANY, 'context.now < datetime("2030-01-01")', WRITE, undefined],
    ['sources', ANY, 'context.sources.contains("s") || context.untrustedSources.contains("s")', WRITE, undefined],
    ['what undoes another', ANY, 'context.compensates', WRITE, undefined],
    ['an argument', ANY, 'context has input.amount && context.input.amount < 5', WRITE, undefined],
    ['what cannot be', ANY, 'context.operation == "p" && context.rows > 5', { ...WRITE, operation: 'o' }, false],
  ];
  // One policy with a rule for each case.
  const policy = policyOf(
    cases
      .map(
        ([, scope, condition], i) =>
          `@id("r${i}") permit (${scope}) ${condition === '' ? '' : `when { ${condition} }`};`,
      )
      .join('\n'),
  );
  const symbolic = new SymbolicPolicy(policy.bundle);

  test.each(cases.map(([name, , , action, expected], i) => [name, i, action, expected] as const))(
    'by %s',
    (_, i, action, expected) => {
      expect([...symbolic.ask([policy.rule(`r${i}`)], action)]).toEqual([[`r${i}`, expected]]);
    },
  );

  test('by limits and history, where they are declared', () => {
    const policy = policyOf(
      forbid('context.limits has "few" && context.limits["few"].left < 1', 'l') +
        forbid('context.history.tested.done < 1', 'h'),
      {
        'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n',
        'history.yaml': 'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 4h}\n',
      },
    );
    expect([...new SymbolicPolicy(policy.bundle).ask(policy.rules, WRITE)]).toEqual([
      ['l', undefined],
      ['h', undefined],
    ]);
  });

  test('is told of the rules of its type alone, and of none without asking', () => {
    const policy = policyOf(
      '@id("w") permit (principal, action == Countersign::Action::"WRITE", resource);@id("r") permit (principal, action == Countersign::Action::"READ", resource);',
    );
    const symbolic = new SymbolicPolicy(policy.bundle);
    expect([...symbolic.ask(policy.rules, WRITE)]).toEqual([['w', true]]);
    expect([...symbolic.ask(policy.rules, { actionType: 'DELETE' })]).toEqual([]);
  });
});
