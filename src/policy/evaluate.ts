/** Decides on facts by Cedar's rules, default deny and forbid wins, with one more rule: people can lift a soft forbid. */
import type { AuthorizationError } from '@cedar-policy/cedar-wasm/nodejs';
import type { Constraint, Decision, Facts, Requirement, Violation } from '../action/decision.js';
import { canonical } from '../action/json.js';
import type { Policy } from './compile.js';
import { clip, fillReason, listed } from './reason.js';
import type { Rule } from './rules.js';

/** The longest part of a message of Cedar that is used. Its messages can quote the whole context. */
const MESSAGE_LENGTH = 400;

/**
 * Decides on facts. It is pure, so the same policy and facts give the same decision, and never throws: every failure is a deny.
 *
 * 1. When a policy cannot be evaluated: `deny` with POLICY_ERROR. Cedar alone would skip the policy, and so ignore a forbid.
 * 2. When Cedar allows the action: `allow`.
 * 3. When a final forbid applies, or no policy allows the action: `deny`.
 * 4. When only soft forbids apply, the action is evaluated again without them. If it is allowed then: `require_approval`, with the
 *    requirements of each of them. Otherwise `deny`, so that people are not asked in vain.
 *
 * All of this is evaluated for the agent and for each agent above it in a chain of delegations: what is forbidden to an agent is forbidden
 * to those it delegates to.
 */
export function evaluate(policy: Policy, facts: Facts): Decision {
  const own = evaluateOne(policy, facts);
  if (own.effect === 'deny' || facts.above === undefined) return own;
  return merged([own, ...facts.above.map((agent) => forAgent(agent.id, evaluateOne(policy, { ...facts, agent })))]);
}

/** Adds to the reason for which agent of a chain the action is not allowed. */
function forAgent(id: string, decision: Decision): Decision {
  return decision.effect === 'allow'
    ? decision
    : { ...decision, reason: `for ${clip(id)}, who delegated: ${decision.reason}` };
}

/** Merges the decisions of a chain: the first deny, or else all requirements and constraints together. */
function merged(decisions: readonly Decision[]): Decision {
  const [first] = decisions as [Decision];
  const deny = decisions.find(({ effect }) => effect === 'deny');
  if (deny !== undefined) return deny;
  const asking = decisions.filter(({ effect }) => effect === 'require_approval');
  const leading = asking.length === 0 ? [first] : asking;
  const byText = <T>(items: readonly T[]): T[] => [...new Map(items.map((item) => [canonical(item), item])).values()];
  return {
    ...first,
    effect: asking.length === 0 ? 'allow' : 'require_approval',
    reason: [...new Set(leading.map(({ reason }) => reason))].join('; '),
    policies: [...new Set(leading.flatMap(({ policies }) => policies))].sort(),
    constraints: strictest(decisions.flatMap(({ constraints }) => constraints)),
    violations: byText(decisions.flatMap((decision) => decision.violations)),
    requirements: byText(decisions.flatMap(({ requirements }) => requirements)),
  };
}

function evaluateOne(policy: Policy, facts: Facts): Decision {
  try {
    return decide(policy, facts);
  } catch (error) {
    return undecidable(policy, error);
  }
}

/** The decision when evaluation failed: a deny with POLICY_ERROR. */
export function undecidable(policy: Policy, error: unknown): Decision {
  const message = error instanceof Error ? error.message : String(error);
  return {
    ...nothing(policy),
    effect: 'deny',
    code: 'POLICY_ERROR',
    reason: `the policy could not be evaluated: ${clip(message, MESSAGE_LENGTH)}`,
  };
}

function decide(policy: Policy, facts: Facts): Decision {
  const request = policy.request(facts);
  const response = policy.ask(request, 'all');
  const { errors } = response.diagnostics;
  const rules = determining(policy, response.diagnostics.reason);
  if (errors.length > 0) return unevaluated(policy, facts, rules, errors);
  if (response.decision === 'allow') return allowed(policy, facts, rules);
  if (rules.length === 0) return denied(policy, facts, rules, noPermitReason(facts));

  const final = rules.filter((rule) => rule.approvals === undefined);
  if (final.length > 0) return denied(policy, facts, rules, final.map((rule) => sentence(rule, facts)).join('; '));

  const without = policy.ask(request, 'without-soft');
  if (without.decision !== 'allow' || without.diagnostics.errors.length > 0) {
    return denied(policy, facts, rules, noPermitReason(facts));
  }
  return {
    ...nothing(policy),
    effect: 'require_approval',
    reason: rules.map((rule) => sentence(rule, facts)).join('; '),
    policies: rules.map((rule) => rule.id),
    constraints: obligations(determining(policy, without.diagnostics.reason)),
    violations: violations(rules, facts),
    requirements: rules.flatMap((rule) => requirementsOf(rule, facts)),
  };
}

function nothing(policy: Policy): Omit<Decision, 'effect' | 'reason'> {
  return { policies: [], constraints: [], violations: [], requirements: [], errors: [], policyDigest: policy.digest };
}

function determining(policy: Policy, ids: readonly string[]): readonly Rule[] {
  return [...ids].sort().map((id) => policy.rule(id));
}

function allowed(policy: Policy, facts: Facts, permits: readonly Rule[]): Decision {
  return {
    ...nothing(policy),
    effect: 'allow',
    reason: `allowed by ${permits.map((rule) => sentence(rule, facts)).join('; ')}`,
    policies: permits.map((rule) => rule.id),
    constraints: obligations(permits),
  };
}

function denied(policy: Policy, facts: Facts, forbids: readonly Rule[], reason: string): Decision {
  return {
    ...nothing(policy),
    effect: 'deny',
    code: 'POLICY_DENIED',
    reason,
    policies: forbids.map((rule) => rule.id),
    constraints: labels(forbids),
    violations: violations(forbids, facts),
  };
}

function unevaluated(
  policy: Policy,
  facts: Facts,
  rules: readonly Rule[],
  errors: readonly AuthorizationError[],
): Decision {
  const ids = [...new Set(errors.map((error) => error.policyId))].sort();
  const forbids = rules.filter((rule) => rule.effect === 'forbid');
  return {
    ...denied(policy, facts, forbids, ''),
    code: 'POLICY_ERROR',
    reason: errors
      .map(({ policyId, error }) => `${policyId} could not be evaluated: ${clip(error.message, MESSAGE_LENGTH)}`)
      .sort()
      .join('; '),
    errors: ids,
  };
}

function noPermitReason({ actionType, tool, agent }: Facts): string {
  const roles = agent.roles.length === 0 ? 'an agent without roles' : `roles ${listed([...agent.roles].sort())}`;
  return `no policy allows ${actionType} on ${clip(tool.name)} for ${roles}`;
}

function sentence(rule: Rule, facts: Facts): string {
  return rule.reason === undefined ? rule.id : `${rule.id}: ${fillReason(rule.reason, facts)}`;
}

function forbidReason(rule: Rule, facts: Facts): string {
  return rule.reason === undefined ? `${rule.id} forbids it` : fillReason(rule.reason, facts);
}

function violations(forbids: readonly Rule[], facts: Facts): readonly Violation[] {
  return forbids.map((rule) => ({ policy: rule.id, reason: forbidReason(rule, facts) }));
}

function requirementsOf(rule: Rule, facts: Facts): readonly Requirement[] {
  return (rule.approvals ?? []).map((approval) => ({
    policy: rule.id,
    reason: forbidReason(rule, facts),
    ...approval,
  }));
}

function labels(rules: readonly Rule[]): readonly Constraint[] {
  return rules
    .flatMap((rule) => rule.constraints.map((constraint) => ({ ...constraint, policy: rule.id })))
    .sort(byName);
}

/**
 * The constraints of the permits together: of numbers the smallest, of booleans false before true. Texts cannot be ranked, so each
 * different text is a constraint of its own. When two policies have the same constraint, the first by id is named.
 */
function obligations(permits: readonly Rule[]): readonly Constraint[] {
  return strictest(labels(permits));
}

function strictest(constraints: readonly Constraint[]): readonly Constraint[] {
  const merged = new Map<string, Constraint>();
  for (const constraint of [...constraints].sort(byName)) {
    const { name, value } = constraint;
    const key = typeof value === 'string' ? JSON.stringify([name, value]) : name;
    const other = merged.get(key);
    if (other === undefined || Number(value) < Number(other.value)) merged.set(key, constraint);
  }
  return [...merged.values()];
}

function byName(a: Constraint, b: Constraint): number {
  return compare(a.name, b.name) || compare(a.policy, b.policy) || compare(String(a.value), String(b.value));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
