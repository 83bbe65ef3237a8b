/** Rules and limits that ask for people, or are for agents, with a role that nobody has. */
import type { ApprovalTerms } from '../../approval.js';
import type { SourceLocation } from '../../cedar.js';
import type { Limit } from '../../limits/limit.js';
import type { Rule } from '../../rules.js';
import { ROLE_TYPE, scopeOf } from '../../scope.js';
import { entityOf, walk } from '../expression.js';
import { finding, type Finding } from './finding.js';

interface Asking {
  readonly id: string;
  readonly place: SourceLocation;
  readonly approvals: readonly ApprovalTerms[];
}

/** `roles`: every role that some person has. */
export function rolesOfNobody(
  rules: readonly Rule[],
  limits: readonly Limit[],
  roles: ReadonlySet<string>,
): readonly Finding[] {
  const asking: readonly Asking[] = [
    ...rules.flatMap(({ id, place, approvals = [] }) => ({ id, place, approvals })),
    ...limits.flatMap((limit) =>
      'atLimit' in limit && limit.atLimit.kind === 'approve'
        ? [{ id: limit.id, place: limit.place, approvals: limit.atLimit.approvals }]
        : [],
    ),
  ];
  return asking.flatMap((one) => nobodyFor(one, roles));
}

/** `roles`: every role that some agent has. */
export function rolesOfNoAgent(rules: readonly Rule[], roles: ReadonlySet<string>): readonly Finding[] {
  return rules.flatMap((rule) =>
    rolesNamed(rule)
      .filter((role) => !roles.has(role))
      .map((role) => forNobody(rule, role)),
  );
}

/** Somebody must have one of the roles. Those to whom it escalates come later, if at all. */
function nobodyFor({ id, place, approvals }: Asking, roles: ReadonlySet<string>): readonly Finding[] {
  return approvals
    .filter((terms) => !terms.roles.some((role) => roles.has(role)))
    .map((terms) =>
      finding('nobody-approves', {
        at: place,
        id,
        message: `it asks for ${terms.roles.join(' or ')}, a role that nobody has: what it stops waits until it expires`,
        fix: `Correct the role; known are ${[...roles].sort().join(', ')}.`,
      }),
    );
}

function rolesNamed(rule: Rule): readonly string[] {
  const found = new Set<string>();
  const { role } = scopeOf(rule.json);
  if (role !== undefined) found.add(role);
  walk(rule.json.conditions, (expr) => {
    const entity = entityOf(expr);
    if (entity?.type === ROLE_TYPE) found.add(entity.id);
  });
  // Nobody is given the role of what undoes an action: workers act in it.
  found.delete('compensator');
  return [...found].sort();
}

function forNobody({ id, place }: Rule, role: string): Finding {
  return finding('unknown-role', {
    at: place,
    id,
    message: `it names the role ${role}, which nobody has`,
    fix: 'Correct the role, or give it to somebody.',
  });
}
