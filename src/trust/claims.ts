/** What credentials and delegations say: the claims of the issuer's tokens, of gateways', and of those that agents sign for other agents. */
import { z } from 'zod';
import { publicJwkSchema } from './ed25519.js';
import { scopeSchema } from './scopes.js';
import { digestSchema, nameSchema, principalSchema, secondsSchema, tenantSchema, textSchema } from './claim-schemas.js';

/** A token longer than this is neither issued nor taken; nor is a delegation. */
export const MAX_CREDENTIAL_BYTES = 4096;

export const rolesSchema = z.array(nameSchema).max(32);
export const scopesSchema = z.array(scopeSchema).min(1).max(64);

const cnf = z.strictObject({ jwk: publicJwkSchema });

/** An agent's action may wait for people for 30 days. */
export const MAX_ATTESTED_AGENT_SECONDS = 31 * 86_400;
/** As long as an approval may live. */
export const MAX_ATTESTED_PERSON_SECONDS = 30 * 86_400;

export const authSchema = z.strictObject({
  method: z.enum(['oidc', 'jwt', 'api-key', 'dev']),
  by: textSchema.min(1).max(512),
});

const standardClaims = {
  iss: z.literal('countersign'),
  aud: z.literal('countersign'),
  sub: principalSchema,
  tenant: tenantSchema,
  iat: secondsSchema,
  exp: secondsSchema,
  jti: textSchema.min(1).max(64),
  cnf,
};

export const agentClaimsSchema = z.strictObject({
  ...standardClaims,
  roles: rolesSchema,
  scopes: scopesSchema,
  owner: principalSchema.optional(),
});
/** An approver without a role could decide nothing. */
export const approverClaimsSchema = z.strictObject({ ...standardClaims, roles: rolesSchema.min(1) });

/** Over a gateway's signature. `for` is the one thing that the credential may sign: the digest of a proposal. */
export const attestedAgentClaimsSchema = z
  .strictObject({ ...agentClaimsSchema.shape, auth: authSchema, for: digestSchema })
  .refine(({ iat, exp }) => exp > iat && exp - iat <= MAX_ATTESTED_AGENT_SECONDS, { path: ['exp'] });
/** `for`: the digest of what the person was shown, or the id of their signed command. Without a role they may have one delegated by somebody. */
export const attestedApproverClaimsSchema = z
  .strictObject({
    ...approverClaimsSchema.shape,
    roles: rolesSchema,
    auth: authSchema,
    for: z.union([digestSchema, z.uuid()]),
  })
  .refine(({ iat, exp }) => exp > iat && exp - iat <= MAX_ATTESTED_PERSON_SECONDS, { path: ['exp'] });

/** At most 16 units. */
export const amountsSchema = z
  .record(nameSchema, z.number().min(0))
  .refine((amounts) => Object.keys(amounts).length >= 1 && Object.keys(amounts).length <= 16);

export const capsSchema = z
  .strictObject({ actions: z.number().int().min(1).exactOptional(), amounts: amountsSchema.exactOptional() })
  .refine(({ actions, amounts }) => actions !== undefined || amounts !== undefined);

/**
 * `sub` is the delegate's name among those of its delegator (RFC 7519, 4.1.2: locally unique in the context of the issuer), so no
 * delegation can name an agent that is not its delegator's.
 */
export const delegationClaimsSchema = z
  .strictObject({
    /** Digest of the delegator's own token: the delegation is good below it and nowhere else. */
    parent: digestSchema,
    sub: principalSchema,
    roles: rolesSchema,
    scopes: scopesSchema,
    caps: capsSchema.optional(),
    iat: secondsSchema,
    exp: secondsSchema,
    cnf,
  })
  .refine(({ iat, exp }) => exp > iat, { path: ['exp'] });

export type AgentClaims = z.infer<typeof agentClaimsSchema>;
export type ApproverClaims = z.infer<typeof approverClaimsSchema>;
export type AttestedClaims = z.infer<typeof attestedAgentClaimsSchema> | z.infer<typeof attestedApproverClaimsSchema>;
export type DelegationClaims = z.infer<typeof delegationClaimsSchema>;
