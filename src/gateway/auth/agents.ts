/** Authenticates agents: by a token of a configured issuer (JWT, RFC 7519) or by an API key. */
import { createHash } from 'node:crypto';
import { decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { canonical } from '../../action/json.js';
import type { Controls } from '../../ledger/index.js';
import { rolesSchema, scopesSchema } from '../../trust/claims.js';
import { describeShapeError, principalSchema, tenantSchema } from '../../trust/claim-schemas.js';
import { claimAt, namesIn } from './token-claims.js';
import type { AgentIssuer } from '../../config/gateway.js';
import type { AgentSource } from './identity.js';
import { issuerKeys } from './issuer-keys.js';
import type { AgentPrincipal } from './principal.js';
import type { ApiKeys } from '../store/api-keys.js';

/** A longer header is refused unread. */
const MAX_AUTHORIZATION = 16 * 1024;

/** Asymmetric only. Neither `none` nor HS256: a public key taken for a shared secret would open every door. */
const ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

/** A token of another kind that the same issuer signs (a logout token, our own credentials) is none of these (RFC 8725, 3.11). */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

/** How far the clocks of issuers may be off, seconds. */
const CLOCK_TOLERANCE_SECONDS = 30;

/** No slash in the id: nobody becomes another agent's delegate by a claim. */
const agentSchema = z.strictObject({
  id: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema,
  scopes: scopesSchema,
  owner: principalSchema.optional(),
});

interface KnownIssuer extends AgentIssuer {
  readonly keys: JWTVerifyGetKey;
}

export interface AgentsOptions {
  readonly issuers: readonly AgentIssuer[];
  readonly apiKeys: Pick<ApiKeys, 'verify'>;
  readonly ledger: { readonly controls: Pick<Controls, 'revoked'> };
}

/** Workers refuse them at the next admission, the gateway at the next request. */
async function assertNotRevoked(
  { tenant, jti }: Pick<AgentPrincipal, 'tenant' | 'jti'>,
  ledger: AgentsOptions['ledger'],
): Promise<void> {
  const gone = await ledger.controls.revoked({ tenant, credentials: [jti] });
  if (gone === undefined) return;
  throw new CountersignError('CREDENTIAL_REVOKED', `These credentials were revoked: ${gone.reason}`, {
    field: 'authorization',
    fix: 'Ask an operator for a new one.',
  });
}

/** One for each gateway: it keeps the issuers' keys. */
export function createAgents({ issuers, apiKeys, ledger }: AgentsOptions): AgentSource {
  const known = new Map(
    issuers.map((issuer): [string, KnownIssuer] => [issuer.issuer, { ...issuer, keys: issuerKeys(issuer) }]),
  );
  return {
    async authenticate(authorization) {
      const token = bearer(authorization);
      const agent = token.startsWith('csa_') ? await byApiKey(apiKeys, token) : await byToken(known, token);
      await assertNotRevoked(agent, ledger);
      return agent;
    },
  };
}

function bearer(authorization: string): string {
  const [, token] = authorization.length > MAX_AUTHORIZATION ? [] : (/^Bearer +([!-~]+)$/i.exec(authorization) ?? []);
  if (token === undefined) throw refused('The Authorization header is not a bearer token.');
  return token;
}

async function byApiKey(apiKeys: Pick<ApiKeys, 'verify'>, text: string): Promise<AgentPrincipal> {
  const { id, agent, tenant, roles, scopes, owner, jti } = await apiKeys.verify(text);
  return {
    kind: 'agent',
    id: agent,
    tenant,
    roles,
    scopes,
    ...(owner === undefined ? {} : { owner }),
    auth: { method: 'api-key', by: id },
    jti,
  };
}

async function byToken(known: ReadonlyMap<string, KnownIssuer>, token: string): Promise<AgentPrincipal> {
  const issuer = known.get(issuerOf(token) ?? '');
  if (issuer === undefined) throw refused('The issuer of the token is not configured at this gateway.');
  const claims = await verified(issuer, token);
  const named = { id: 'sub', tenant: 'tenant', roles: 'roles', scopes: 'scopes', owner: 'owner', ...issuer.claims };
  const owner = claimAt(claims, named.owner);
  const parsed = agentSchema.safeParse({
    id: claimAt(claims, named.id),
    tenant: issuer.tenant ?? claimAt(claims, named.tenant),
    roles: namesIn(claimAt(claims, named.roles)),
    scopes: namesIn(claimAt(claims, named.scopes)),
    ...(owner === undefined || owner === null ? {} : { owner }),
  });
  if (!parsed.success) {
    const [first] = parsed.error.issues[0]?.path ?? [];
    throw refused(`The claims of the token do not describe an agent: ${describeShapeError(parsed.error)}.`, {
      field: `authorization.${String(first)}`,
      expected: "an agent's id, tenant, roles and scopes where the gateway's settings say that they are",
    });
  }
  const { owner: owned, ...agent } = parsed.data;
  return {
    kind: 'agent',
    ...agent,
    ...(owned === undefined ? {} : { owner: owned }),
    auth: { method: 'jwt', by: issuer.issuer },
    jti: jtiOfSubject(issuer.issuer, agent),
  };
}

/** The same for every token of one agent, so that revoking one of them revokes the agent. */
function jtiOfSubject(issuer: string, { tenant, id }: { tenant: string; id: string }): string {
  return `jwt/${createHash('sha256').update(canonical({ issuer, tenant, id })).digest('base64url')}`;
}

/** Where the token says that it is from: read before it is verified, to know with whose keys. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

async function verified({ issuer, audience, keys }: KnownIssuer, token: string): Promise<JWTPayload> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      // `nbf` and `iat` are heeded wherever they stand.
      requiredClaims: ['exp'],
    });
    const { typ } = protectedHeader;
    if (typ !== undefined && !TYPES.has(typ.toLowerCase())) throw refused('The token is not an access token.');
    return payload;
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    if (error instanceof errors.JWTExpired) throw refused('The token has expired.', { fix: 'Get a new one.' });
    if (error instanceof errors.JWTClaimValidationFailed) {
      throw refused(`The claim "${error.claim}" of the token is not accepted.`, {
        field: `authorization.${error.claim}`,
      });
    }
    if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) {
      throw refused('The token could not be verified.');
    }
    // Its issuer does not answer: not the agent's fault, and no reason to let it in.
    throw new CountersignError(
      'UNAUTHENTICATED',
      "The gateway cannot reach the keys of the token's issuer at this moment.",
      {
        field: 'authorization',
        fix: 'Try again in a moment.',
        retryable: true,
        retryAfterMs: 5000,
        cause: error,
      },
    );
  }
}

function refused(message: string, details: { field?: string; expected?: string; fix?: string } = {}): CountersignError {
  return new CountersignError('UNAUTHENTICATED', message, {
    field: 'authorization',
    expected: 'a valid token of a configured issuer, or an API key',
    ...details,
  });
}
