/** Step 4: what people are shown, the admission to the ledger, and what the grant says. */
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../src/action/errors.js';
import type { GrantClaims, Plan } from '../src/action/grant.js';
import { digest, type Digest } from '../src/action/json.js';
import type { Outcome, Shown } from '../src/action/outcome.js';
import type { HoldRequest, LimitReading } from '../src/action/limits.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { Dependencies } from './deps.js';
import type { Authentic, Proposed } from './propose.js';

export function shownOf({ proposal, digest: proposalDigest, agent }: Authentic, plan: Omit<Plan, 'approvals'>): Shown {
  const { facts, decision, pre } = plan;
  return {
    tenant: agent.tenant,
    actionId: proposal.actionId,
    proposal,
    proposalDigest,
    agent: { id: agent.id, roles: agent.roles, ...(agent.owner === undefined ? {} : { owner: agent.owner }) },
    tool: facts.tool,
    actionType: facts.actionType,
    operation: facts.operation,
    preview: facts.preview,
    preDigest: pre.digest,
    requirements: decision.requirements,
  };
}

/** A place in the ledger, for a grant that may be signed or not. */
export interface Admitted {
  readonly kind: 'admitted';
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
}

/** What the action asks of limits did not fit any more: another one came first. */
export interface Limited {
  readonly kind: 'limited';
  readonly limits: readonly LimitReading[];
}

/**
 * Admits the action to the ledger: its id stands for this proposal from now on, nothing freezes it, and `holds` are placed, all or
 * none. It needs no decision: an admission without a signed grant authorizes nothing. Without `holds`, what the action may hold from
 * an earlier grant stays; with an empty list it is given back.
 *
 * @throws CountersignError ACTION_CONFLICT, FROZEN, CREDENTIAL_REVOKED
 */
export async function admit(
  proposed: Proposed,
  targets: readonly string[],
  deps: Dependencies,
  holds?: readonly HoldRequest[],
): Promise<Admitted | Limited | { readonly kind: 'ended'; readonly outcome: Outcome }> {
  const { proposal, agent, tool, authority } = proposed;
  const iat = Math.floor(Date.now() / 1000);
  const place: Admitted = { kind: 'admitted', jti: randomUUID(), iat, exp: iat + deps.settings.grantTtlSeconds };
  await deps.faults.at('prepare.before-admit');
  const admission = await deps.ledger.actions.admit({
    tenant: agent.tenant,
    actionId: proposal.actionId,
    digest: proposed.digest,
    agent: agent.id,
    tool: tool.name,
    environment: tool.environment,
    targets,
    grant: { jti: place.jti, expiresAt: new Date(place.exp * 1000) },
    credentials: authority.credentials,
    ...(holds === undefined ? {} : { holds }),
  });
  await deps.faults.at('prepare.after-admit');
  switch (admission.kind) {
    case 'admitted':
      return place;
    case 'limited':
      return admission;
    case 'ended':
      return admission;
    case 'conflict':
      throw conflict(proposal.actionId, admission.digest);
    case 'frozen':
      throw frozen(admission.freeze);
    case 'revoked':
      throw revoked(admission.revocation);
  }
}

/** What the grant of a plan says. */
export function claimsOf(proposed: Proposed, plan: Plan, { jti, iat, exp }: Admitted): GrantClaims {
  const { proposal, agent, tool, authority } = proposed;
  const { preview } = plan.facts;
  return {
    jti,
    tenant: agent.tenant,
    actionId: proposal.actionId,
    agent: agent.id,
    tool: tool.name,
    environment: tool.environment,
    actionType: proposed.actionType,
    proposalDigest: proposed.digest,
    policyDigest: plan.decision.policyDigest,
    preDigest: plan.pre.digest,
    planDigest: digest(plan),
    approvals: plan.approvals.map((approval) => approval.digest).sort(),
    constraints: plan.decision.constraints,
    targets: preview.targets,
    credentials: authority.credentials,
    rows: preview.rows,
    iat,
    exp,
  };
}

export function conflict(actionId: string, other: Digest): CountersignError {
  return new CountersignError(
    'ACTION_CONFLICT',
    `Action ${actionId} was proposed before with another content (${other}).`,
    {
      field: 'proposal.actionId',
      expected: 'an actionId that was never used, or the same proposal again',
      fix: 'Use a new actionId for a new action; repeat the same proposal to get the recorded outcome.',
    },
  );
}

export function frozen(freeze: Freeze): CountersignError {
  return new CountersignError('FROZEN', `Frozen by ${freeze.by}: ${freeze.reason} (freeze ${freeze.id}).`, {
    fix: `Wait until it is lifted: countersign unfreeze ${freeze.id}`,
  });
}

export function revoked({ jti, by, reason }: Revocation): CountersignError {
  return new CountersignError('CREDENTIAL_REVOKED', `${by} revoked ${jti}, which the proposal rests on: ${reason}`, {
    field: 'credential',
    expected: 'a credential whose whole chain still stands',
    fix: 'Ask whoever gave it for a new one.',
  });
}
