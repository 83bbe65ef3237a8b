/** What the scope of a policy says exactly: the one tool, agent or role that it is about. */
import type {
  EntityUidJson,
  PolicyJson,
  PrincipalConstraint,
  ResourceConstraint,
} from '@cedar-policy/cedar-wasm/nodejs';

export interface RuleScope {
  /** The one tool that it can match. Absent: any. */
  readonly tool?: string;
  /** The one agent that it can match. Absent: any. */
  readonly agent?: string;
  /** The role that an agent must have. Absent: none. */
  readonly role?: string;
}

export const AGENT_TYPE = 'Countersign::Agent';
export const ROLE_TYPE = 'Countersign::Role';
export const TOOL_TYPE = 'Countersign::Tool';

/** Reads the scope of a policy. What it does not understand bounds nothing. */
export function scopeOf({ principal, resource }: Pick<PolicyJson, 'principal' | 'resource'>): RuleScope {
  const who = entityOf(principal);
  const what = entityOf(resource);
  return {
    // A tool has no parents, so `in` is the same as `==` for it; so it is for an agent.
    ...(what?.type === TOOL_TYPE ? { tool: what.id } : {}),
    ...(who?.type === AGENT_TYPE ? { agent: who.id } : {}),
    // `==` on a role matches no agent, and its being kept for those with the role does no harm.
    ...(who?.type === ROLE_TYPE ? { role: who.id } : {}),
  };
}

function entityOf(constraint: PrincipalConstraint | ResourceConstraint): ReturnType<typeof uidOf> | undefined {
  if (constraint.op === 'is') {
    const within = constraint.in;
    return within !== undefined && 'entity' in within ? uidOf(within.entity) : undefined;
  }
  return 'entity' in constraint ? uidOf(constraint.entity) : undefined;
}

/** The type and id of an entity, whichever way Cedar writes it. */
export function uidOf(entity: EntityUidJson): { readonly type: string; readonly id: string } {
  return '__entity' in entity ? entity['__entity'] : entity;
}
