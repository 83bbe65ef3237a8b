/** What a credential amounts to: the issuer's token, narrowed by each delegation below it. The rules of narrowing are here, for all. */
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { digestText, type Digest } from '../action/json.js';
import type { Agent, Auth, Authority, DelegationCap } from '../action/principal.js';
import {
  agentClaimsSchema,
  approverClaimsSchema,
  delegationClaimsSchema,
  MAX_CREDENTIAL_BYTES,
  attestedAgentClaimsSchema,
  attestedApproverClaimsSchema,
  type AgentClaims,
  type ApproverClaims,
  type DelegationClaims,
  type AttestedClaims,
} from './claims.js';
import { scopesNarrower } from './scopes.js';
import { MAX_AGENT_ID, type RefusalFactory } from './claim-schemas.js';

export type CredentialKind = 'agent' | 'approver';

/** The name under which workers undo what an agent did. No delegate has it, so none passes for that. */
export const COMPENSATOR_NAME = 'undo';

/** All delegations of one credential together, in bytes: some twenty of the usual size. */
export const MAX_CHAIN_BYTES = 16 * 1024;

export const chainSchema = z
  .array(z.string().max(MAX_CREDENTIAL_BYTES))
  .min(1)
  .refine((chain) => chain.reduce((bytes, token) => bytes + token.length, 0) <= MAX_CHAIN_BYTES);

/** Who the holder of a credential is, and what they may. */
export interface EffectiveCredential {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** Empty for an approver. */
  readonly scopes: readonly string[];
  readonly owner?: string;
  /** Set when a gateway attests instead of the issuer: how it knew them, and the one thing that this is good for. */
  readonly attestation?: Attestation;
  /** The agents above it, the one with the issuer's credential first. */
  readonly above: readonly Agent[];
  /** Ids of the token and of each delegation: the issuer's `jti`, then digests, which nobody can choose. */
  readonly credentials: readonly string[];
  readonly caps: readonly DelegationCap[];
  /** Public keys (`x`) from the issuer's word down; the last is the holder's. */
  readonly keys: readonly string[];
  /** Of the last token: what a delegation below it names. */
  readonly digest: Digest;
  /** From when on all of it is valid, seconds. */
  readonly iat: number;
  readonly exp: number;
}

export interface Attestation {
  readonly auth: Auth;
  /** The digest of a proposal or of what was shown, or the id of a signed command. */
  readonly for: string;
}

export function effectiveCredentialOf(
  claims: AgentClaims | ApproverClaims | AttestedClaims,
  token: string,
): EffectiveCredential {
  const { sub, tenant, roles, jti, cnf, iat, exp } = claims;
  return {
    id: sub,
    tenant,
    roles,
    scopes: 'scopes' in claims ? claims.scopes : [],
    ...('owner' in claims && claims.owner !== undefined ? { owner: claims.owner } : {}),
    ...('for' in claims ? { attestation: { auth: claims.auth, for: claims.for } } : {}),
    above: [],
    credentials: [jti],
    caps: [],
    keys: [cnf.jwk.x],
    digest: digestText(token),
    iat,
    exp,
  };
}

/**
 * What a delegation leaves of its delegator's standing. Its signature is for the caller to check.
 *
 * @throws what `refuse` makes, naming the claim, when it is not this delegator's or widens anything
 */
export function narrow(
  parent: EffectiveCredential,
  claims: DelegationClaims,
  token: string,
  refuse: RefusalFactory,
): EffectiveCredential {
  const { sub, roles, scopes, caps, cnf, iat, exp } = claims;
  if (parent.attestation !== undefined) {
    throw refuse('A credential that a gateway attests is good for one thing only, and for no delegation', {
      field: 'parent',
    });
  }
  if (claims.parent !== parent.digest) {
    throw refuse('It was made below another credential');
  }
  const id = `${parent.id}/${sub}`;
  if (id.length > MAX_AGENT_ID) {
    throw refuse(`The id of the delegate is longer than ${MAX_AGENT_ID} characters`, { field: 'id' });
  }
  if (sub === COMPENSATOR_NAME) throw refuse(`The name ${COMPENSATOR_NAME} is kept for undoing`, { field: 'id' });
  if (!roles.every((role) => parent.roles.includes(role))) {
    throw refuse('It gives a role that its delegator does not have', { field: 'roles' });
  }
  if (!scopesNarrower(scopes, parent.scopes)) {
    throw refuse('It gives a scope that does not lie within one of its delegator', { field: 'scopes' });
  }
  if (exp > parent.exp) {
    throw refuse('It is valid for longer than its delegator', { field: 'expires' });
  }
  // Every cap above counts all the same; a larger one would only promise what there is not.
  if (caps !== undefined && parent.caps.some((above) => exceeds(caps, above))) {
    throw refuse('It may spend more than its delegator', { field: 'caps' });
  }
  if (parent.keys.includes(cnf.jwk.x)) {
    throw refuse('It gives to a key that is above it already');
  }
  const digest = digestText(token);
  return {
    ...parent,
    id,
    roles,
    scopes,
    above: [...parent.above, agentOf(parent)],
    credentials: [...parent.credentials, digest],
    caps: caps === undefined ? parent.caps : [...parent.caps, { jti: digest, ...caps }],
    keys: [...parent.keys, cnf.jwk.x],
    digest,
    iat: Math.max(parent.iat, iat),
    exp,
  };
}

type Caps = NonNullable<DelegationClaims['caps']>;

function exceeds(caps: Caps, above: DelegationCap): boolean {
  if (caps.actions !== undefined && above.actions !== undefined && caps.actions > above.actions) return true;
  return Object.entries(caps.amounts ?? {}).some(([unit, amount]) => {
    const ceiling = above.amounts?.[unit];
    return ceiling !== undefined && amount > ceiling;
  });
}

/** What a credential says, unverified: for its holder's own side. @throws what `unreadable` makes */
export function readEffectiveCredential(
  credential: {
    readonly kind: CredentialKind;
    readonly token: string;
    readonly delegations?: readonly string[] | undefined;
  },
  unreadable: RefusalFactory,
): EffectiveCredential {
  const { kind, token, delegations = [] } = credential;
  const read = <C>(text: string, schema: z.ZodType<C>): C => {
    let claims: unknown;
    try {
      claims = decodeJwt(text);
    } catch {
      throw unreadable('');
    }
    const parsed = schema.safeParse(claims);
    if (!parsed.success) throw unreadable('');
    return parsed.data;
  };
  const issued =
    kind === 'agent'
      ? read(token, z.union([agentClaimsSchema, attestedAgentClaimsSchema]))
      : read(token, z.union([approverClaimsSchema, attestedApproverClaimsSchema]));
  if (kind === 'approver' && delegations.length > 0) throw unreadable('');
  return delegations.reduce(
    (above, delegation) => narrow(above, read(delegation, delegationClaimsSchema), delegation, unreadable),
    effectiveCredentialOf(issued, token),
  );
}

export function agentOf({ id, tenant, roles, scopes, owner, above }: EffectiveCredential): Agent {
  return {
    id,
    tenant,
    roles,
    scopes,
    ...(owner === undefined ? {} : { owner }),
    ...(above.length === 0 ? {} : { via: above.map((agent) => agent.id) }),
  };
}

export function authorityOf({ credentials, caps, above }: EffectiveCredential): Authority {
  return { credentials, caps, above };
}
