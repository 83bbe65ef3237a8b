/**
 * A gateway attests: it signs for whom it knows by a login, a token or an API key a credential with a key made on the spot, good for one
 * proposal, decision or signed command and nothing else. It is no issuer, and what it signs is worth nothing without knowing for what.
 */
import { z } from 'zod';
import type { Digest } from '../action/json.js';
import type { Agent, Approver, Auth } from '../action/principal.js';
import {
  authSchema,
  MAX_ATTESTED_AGENT_SECONDS,
  MAX_ATTESTED_PERSON_SECONDS,
  rolesSchema,
  scopesSchema,
} from './claims.js';
import { checked, issue, unique, type Credential } from './credentials.js';
import { signingKey, type Keyring } from './keys.js';
import { digestSchema, principalSchema, tenantSchema } from './claim-schemas.js';

/** How a gateway knows somebody, and by which id their authority can be revoked. */
export interface AttestedIdentity {
  readonly auth: Auth;
  /** Stable for the subject, so that `countersign revoke` reaches all that is attested for them. 1 to 64 of `!` to `~`. */
  readonly jti: string;
}

const attestedIdentity = { auth: authSchema, jti: z.string().regex(/^[!-~]{1,64}$/) };

const agentSchema = z.object({
  id: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema,
  scopes: scopesSchema,
  owner: principalSchema.optional(),
  /** A delegate has its delegator's word, and needs no gateway's. */
  via: z.undefined().optional(),
  ...attestedIdentity,
  for: digestSchema,
});
const personSchema = z.object({
  id: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema,
  ...attestedIdentity,
  for: z.union([digestSchema, z.uuid()]),
  ttlSeconds: z.number().int().min(1).max(MAX_ATTESTED_PERSON_SECONDS),
});

/**
 * For `signProposal` of this very proposal. Valid 31 days, because an action may wait for people that long. Cannot delegate.
 *
 * @param digest of the proposal
 * @throws CountersignError CONFIG_INVALID naming the field, or KEYS_MISSING without a private gateway key
 */
export async function attestAgent(
  keyring: Keyring,
  agent: Agent & AttestedIdentity,
  digest: Digest,
  now = new Date(),
): Promise<Credential> {
  const signer = signingKey(keyring, 'gateway');
  const said = checked(agentSchema, { ...agent, for: digest });
  const { id: sub, tenant, roles, scopes, owner, auth, jti } = said;
  const who = {
    sub,
    jti,
    tenant,
    roles: unique(roles),
    scopes: unique(scopes),
    ...(owner === undefined ? {} : { owner }),
    auth,
    for: said.for,
  };
  return issue(signer, 'agent', who, MAX_ATTESTED_AGENT_SECONDS, now);
}

/**
 * For `signApproval` of what was shown under this digest, or `signCommand` with this `jti`.
 *
 * @param boundTo the shown digest, or the `jti` (a UUID) that the signed command will have
 * @param options.ttlSeconds at most 30 days: until the decision or the signed command is over itself
 * @throws CountersignError CONFIG_INVALID naming the field, or KEYS_MISSING without a private gateway key
 */
export async function attestPerson(
  keyring: Keyring,
  person: Approver & AttestedIdentity,
  boundTo: string,
  { ttlSeconds }: { readonly ttlSeconds: number },
  now = new Date(),
): Promise<Credential> {
  const signer = signingKey(keyring, 'gateway');
  const said = checked(personSchema, { ...person, for: boundTo, ttlSeconds });
  const { id: sub, tenant, roles, auth, jti } = said;
  const who = { sub, jti, tenant, roles: unique(roles), auth, for: said.for };
  return issue(signer, 'approver', who, said.ttlSeconds, now);
}
