/** The admission of an action to the ledger, with a place for a grant that may be signed or not. */
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { HoldRequest, LimitReading } from '../src/action/limits.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { ActionRequest, Ended, Enforced } from './contract.js';
import type { Dependencies } from './deps.js';

/** A place in the ledger for a grant. */
export interface Admitted {
  readonly kind: 'admitted';
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
}

/** What the action asks of limits did not fit any more: another one came first. */
export interface NoRoom {
  readonly kind: 'no_room';
  readonly limits: readonly LimitReading[];
}

/**
 * Admits the action to the ledger: its id stands for this proposal from now on, nothing freezes it, and `holds` are placed, all or
 * none. It needs no decision: an admission without a signed grant authorizes nothing. What the action may hold from an earlier grant is
 * given back with an empty list, and stays without one.
 *
 * @throws CountersignError ACTION_CONFLICT, FROZEN, CREDENTIAL_REVOKED
 */
export async function admit(
  { facts: { agent, tool, preview }, credentials }: Pick<Enforced, 'facts' | 'credentials'>,
  { proposal: { actionId }, digest }: ActionRequest,
  { ledger, settings }: Dependencies,
  holds?: readonly HoldRequest[],
): Promise<Admitted | NoRoom | Ended> {
  const iat = Math.floor(Date.now() / 1000);
  const place: Admitted = { kind: 'admitted', jti: randomUUID(), iat, exp: iat + settings.grantTtlSeconds };
  const admission = await ledger.actions.admit({
    tenant: agent.tenant,
    actionId,
    digest,
    agent: agent.id,
    tool: tool.name,
    environment: tool.environment,
    targets: preview.targets,
    grant: { jti: place.jti, expiresAt: new Date(place.exp * 1000) },
    credentials,
    ...(holds === undefined ? {} : { holds }),
  });
  switch (admission.kind) {
    case 'admitted':
      return place;
    case 'limited':
      return { kind: 'no_room', limits: admission.limits };
    case 'ended':
      return admission;
    case 'conflict':
      throw conflict(actionId, admission.digest);
    case 'frozen':
      throw frozen(admission.freeze);
    case 'revoked':
      throw revoked(admission.revocation);
  }
}

function conflict(actionId: string, other: Digest): CountersignError {
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
