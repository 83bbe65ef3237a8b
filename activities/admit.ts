/** Admits an action to the ledger and reserves a place there for its grant, which may be signed afterwards. */
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { HistoryClaim } from '../src/action/history.js';
import type { HoldRequest, LimitReading } from '../src/action/limits.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { ActionRequest, Ended, Enforced } from './contract.js';
import type { Dependencies } from './deps.js';

/** The ledger admitted the action and reserved a place for a grant. */
export interface Admitted {
  readonly kind: 'admitted';
  /** Id of the grant. */
  readonly jti: string;
  /** When the grant is issued, by the ledger's clock. Seconds since the epoch. */
  readonly iat: number;
  /** When the grant expires, by the ledger's clock. Seconds since the epoch. */
  readonly exp: number;
}

/** The holds that the action needs no longer fit within the limits: another action took the room first. */
export interface NoRoom {
  readonly kind: 'no_room';
  readonly limits: readonly LimitReading[];
}

/** Earlier actions have come to something else than the decision relied on. */
export interface Changed {
  readonly kind: 'changed';
}

/**
 * Admits the action to the ledger: its id stands for this proposal from now on, no freeze stops it, and all of `holds` are placed, or
 * none. No decision is needed for that, because an admission without a signed grant authorizes nothing. When `holds` is an empty list,
 * what the action still holds from an earlier grant is released; when it is absent, that stays held. `history` is checked in the same
 * statement, and the marks that later actions look for are left with the grant.
 *
 * @throws CountersignError ACTION_CONFLICT, FROZEN, CREDENTIAL_REVOKED
 */
export async function admit(
  { facts: { agent, tool, preview, actionType }, credentials }: Pick<Enforced, 'facts' | 'credentials'>,
  { proposal: { actionId }, digest }: ActionRequest,
  { ledger, settings }: Dependencies,
  holds?: readonly HoldRequest[],
  history?: HistoryClaim,
): Promise<Admitted | NoRoom | Changed | Ended> {
  const jti = randomUUID();
  const admission = await ledger.actions.admit({
    tenant: agent.tenant,
    actionId,
    digest,
    agent: agent.id,
    owner: agent.owner,
    tool: tool.name,
    environment: tool.environment,
    targets: preview.targets,
    reads: actionType === 'READ',
    grant: { jti, ttlSeconds: settings.grantTtlSeconds },
    credentials,
    ...(holds === undefined ? {} : { holds }),
    ...(history === undefined ? {} : { history }),
  });
  switch (admission.kind) {
    case 'admitted':
      return { kind: 'admitted', jti, iat: admission.issuedAt, exp: admission.expiresAt };
    case 'limited':
      return { kind: 'no_room', limits: admission.limits };
    case 'ended':
    case 'changed':
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
    `Action ${actionId} was proposed before with another tool, input or expectation (${other}).`,
    {
      field: 'proposal.actionId',
      expected: 'an actionId that was never used, or the same tool, input and expectation again',
      fix: 'Use a new actionId for a new action; repeat the same tool, input and expectation to get the recorded outcome.',
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
