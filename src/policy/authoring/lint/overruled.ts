/** Rules that other rules make pointless: what a forbid always overrules, and what is said twice. */
import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import { canonical } from '../../../action/json.js';
import { locationText } from '../../cedar.js';
import type { Rule } from '../../rules.js';
import { scopeOf, type RuleScope } from '../../scope.js';
import { conjuncts } from '../expression.js';
import { finding, type Finding } from './finding.js';

interface ReadRule {
  readonly rule: Rule;
  readonly scope: RuleScope;
  /** The scope as Cedar has it, for parts that a `RuleScope` does not hold. */
  readonly principal: string;
  readonly resource: string;
  /** What must all be true, as text. */
  readonly conditions: ReadonlySet<string>;
}

/** A forbid without approval is final. One whose conditions are among those of a rule, and whose scope is as wide, overrules it always. */
export function overruled(rules: readonly Rule[]): readonly Finding[] {
  const read = rules.map(readRule);
  const final = read.filter(({ rule }) => rule.effect === 'forbid' && rule.approvals === undefined);
  return [...read.flatMap((one) => overruledBy(one, final)), ...duplicates(read)];
}

function readRule(rule: Rule): ReadRule {
  const { principal, resource, conditions } = rule.json;
  return {
    rule,
    scope: scopeOf(rule.json),
    principal: canonical(principal),
    resource: canonical(resource),
    conditions: new Set(conjuncts(conditions).map(textOf)),
  };
}

function textOf(expr: Expr): string {
  return canonical(expr);
}

function overruledBy(one: ReadRule, final: readonly ReadRule[]): readonly Finding[] {
  const { rule } = one;
  // Of two final forbids neither is pointless: each gives its reason.
  if (rule.effect === 'forbid' && rule.approvals === undefined) return [];
  const by = final.find((forbid) => covers(forbid, one));
  if (by === undefined) return [];
  const what = rule.effect === 'permit' ? 'what it permits' : 'what people could lift';
  const where = `the forbid ${by.rule.id} (${locationText(by.rule.place)})`;
  const unconditional = by.conditions.size === 0;
  return [
    finding(unconditional ? 'shadowed' : 'contradiction', {
      at: rule.place,
      id: rule.id,
      message: unconditional
        ? `${what} is always forbidden by ${where}, which has no conditions`
        : `${what} is always forbidden by ${where}, which asks for nothing that this rule does not ask for too`,
      fix: 'Take one of the two out, or narrow the forbid.',
    }),
  ];
}

function covers(forbid: ReadRule, other: ReadRule): boolean {
  return (
    other.rule.actions.size > 0 &&
    [...other.rule.actions].every((action) => forbid.rule.actions.has(action)) &&
    coversPart(forbid, other, 'principal') &&
    coversPart(forbid, other, 'resource') &&
    [...forbid.conditions].every((condition) => other.conditions.has(condition))
  );
}

function coversPart(forbid: ReadRule, other: ReadRule, part: 'principal' | 'resource'): boolean {
  if (forbid.rule.json[part].op === 'All' || forbid[part] === other[part]) return true;
  // Every principal is an agent, and every resource a tool.
  const own = forbid.rule.json[part];
  return own.op === 'is' && own.in === undefined && own.entity_type === PART_TYPES[part];
}

const PART_TYPES = { principal: 'Countersign::Agent', resource: 'Countersign::Tool' } as const;

function duplicates(read: readonly ReadRule[]): readonly Finding[] {
  const first = new Map<string, Rule>();
  return read.flatMap(({ rule, principal, resource, conditions }) => {
    const { effect, actions, approvals, constraints } = rule;
    const key = canonical([
      effect,
      principal,
      resource,
      [...actions].sort(),
      [...conditions].sort(),
      // What differs in what it asks of people or of the tool is not the same rule.
      (approvals ?? []) as never,
      constraints as never,
    ]);
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, rule);
      return [];
    }
    return [
      finding('duplicate', {
        at: rule.place,
        id: rule.id,
        message: `it says the same as ${other.id} (${locationText(other.place)})`,
        fix: 'Take one of the two out.',
      }),
    ];
  });
}
