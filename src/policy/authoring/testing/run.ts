/** Runs the tests of a bundle: each decision, how it differs from what was expected, and which rules decided. */
import type { Decision, Facts } from '../../../action/decision.js';
import { canonical, digest, withoutUndefined, type JsonObject } from '../../../action/json.js';
import type { Agent } from '../../../action/principal.js';
import type { LimitFigure } from '../../../action/limits.js';
import { scopeCovers } from '../../../trust/scopes.js';
import type { SourceLocation } from '../../cedar.js';
import type { Policy } from '../../compile.js';
import { ENFORCE_NOW } from '../../enforce.js';
import { evaluate, undecidable } from '../../evaluate.js';
import { historyFigures } from '../../history/figures.js';
import { previewOf, type Expected, type Given, type TableTest } from './table.js';

/** One member of the decision that is not as expected. */
export interface DecisionDifference {
  readonly member: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export interface TestResult {
  readonly name: string;
  readonly place: SourceLocation;
  readonly differences: readonly DecisionDifference[];
  readonly decision: Decision;
}

/** A rule, and the tests in which it determined the decision. */
export interface RuleCoverage {
  readonly id: string;
  readonly place: SourceLocation;
  readonly tests: readonly string[];
}

export interface TestRun {
  readonly results: readonly TestResult[];
  /** In the order of the files. */
  readonly coverage: readonly RuleCoverage[];
}

export function runTables(policy: Policy, tests: readonly TableTest[]): TestRun {
  const results = tests.map(({ name, place, given, expect }) => {
    const decision = decide(policy, given);
    return { name, place, differences: differences(expect, decision), decision };
  });
  const coverage = policy.rules.map(({ id, place }) => ({
    id,
    place,
    tests: results.filter(({ decision }) => decision.policies.includes(id)).map(({ name }) => name),
  }));
  return { results, coverage };
}

/** As a worker decides: the agent's scopes first, then the policy. */
function decide(policy: Policy, given: Given): Decision {
  const facts = givenFacts(given, policy);
  const { agent, tool, operation } = facts;
  if (!scopeCovers(agent.scopes, tool.name, operation)) {
    const reason = `the scopes of ${agent.id} do not cover ${operation} of ${tool.name}`;
    return { ...undecidable(policy, reason), code: 'SCOPE_DENIED', reason };
  }
  try {
    const input = policy.declaredInput(facts.actionType, given.input ?? {});
    return evaluate(policy, input === undefined ? facts : { ...facts, input });
  } catch (error) {
    return undecidable(policy, error);
  }
}

/** The facts that a test gives, but for what the schema declares of the input. Where it says nothing of a history fact, nothing came before. */
export function givenFacts(given: Given, { history: declared }: Pick<Policy, 'history'>): Facts {
  const { tool, actionType = 'READ', operation, from, limits, history, compensates, editedBy, above } = given;
  const written = given.input?.['op'];
  const cause = { actionId: 'undone', agent: 'test-agent', receipt: digest('undone') };
  return withoutUndefined({
    agent: agentOf(given.agent),
    above: above?.map(agentOf),
    actionType,
    tool: { name: 'shop-db', kind: 'postgres', environment: 'test', ...withoutUndefined(tool ?? {}) },
    operation: operation ?? (typeof written === 'string' ? written : actionType.toLowerCase()),
    preview: previewOf(given),
    from,
    limits: limits === undefined ? undefined : Object.entries(limits).map(([id, figure]) => figureOf(id, figure)),
    history: declared.facts.length === 0 ? undefined : historyFigures(declared, withoutUndefined(history ?? {})),
    compensates: compensates === true ? cause : undefined,
    editedBy,
    now: given.now ?? ENFORCE_NOW,
  }) as Facts;
}

function agentOf(agent: Given['agent']): Agent {
  return { id: 'test-agent', tenant: 'acme', roles: [], scopes: ['*'], ...withoutUndefined(agent ?? {}) };
}

function figureOf(limit: string, figure: NonNullable<Given['limits']>[string]): LimitFigure {
  const { max = 0, used = 0, held = 0, left = max - used - held, fits = left > 0 } = figure;
  return { limit, key: '', kind: 'budget', max, used, held, left, fits, text: '' };
}

function differences(expect: Expected, decision: Decision): readonly DecisionDifference[] {
  const { reason, policies, code, constraints, requirements } = expect;
  const found: DecisionDifference[] = [];
  const differ = (member: string, expected: unknown, actual: unknown): void => {
    if (canonical(expected) !== canonical(actual)) found.push({ member, expected, actual });
  };
  differ('decision', expect.decision, decision.effect);
  if (code !== undefined) differ('code', code, decision.code ?? null);
  for (const part of reason === undefined ? [] : [reason].flat()) {
    if (!decision.reason.includes(part)) found.push({ member: 'reason', expected: part, actual: decision.reason });
  }
  if (policies !== undefined) differ('policies', [...policies].sort(), decision.policies);
  if (constraints !== undefined) {
    const actual = Object.fromEntries(decision.constraints.map(({ name, value }) => [name, value]));
    differ('constraints', constraints, actual);
  }
  if (requirements !== undefined) {
    const actual = decision.requirements.map((requirement, index) => picked(requirement, requirements[index]));
    differ('requirements', requirements.map(sorted), actual);
  }
  return found;
}

type WantedRequirement = NonNullable<Expected['requirements']>[number];

/** Of a requirement what the test speaks of; all of one that it does not. */
function picked(requirement: Decision['requirements'][number], wanted: WantedRequirement | undefined): JsonObject {
  const { reason: _reason, ...all } = requirement;
  const names = wanted === undefined ? Object.keys(all) : Object.keys(wanted);
  const found = names.map((name) => [name, (all as Readonly<Record<string, unknown>>)[name] ?? null] as const);
  return Object.fromEntries(found) as JsonObject;
}

/** Roles have no order. */
function sorted(wanted: WantedRequirement): object {
  return wanted.roles === undefined ? wanted : { ...wanted, roles: [...wanted.roles].sort() };
}

/** How much of the rules some test made decide, in whole percent, rounded down: 100 means all. */
export function coveredPercent(coverage: readonly RuleCoverage[]): number {
  const covered = coverage.filter(({ tests }) => tests.length > 0).length;
  return coverage.length === 0 ? 100 : Math.floor((covered * 100) / coverage.length);
}
