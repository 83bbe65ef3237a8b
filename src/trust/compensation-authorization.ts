/** Compensation authorizations: the workers' signed permission to propose the undoing of one action. They take the place of an agent's proposal signature. */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { Agent, Authority } from '../action/principal.js';
import { openIssued, signToken, TOKEN_TYPES } from './jws.js';
import { signingKey, type Keyring } from './keys.js';
import {
  actionIdSchema,
  agentIdSchema,
  digestSchema,
  MAX_AGENT_ID,
  describeShapeError,
  nameSchema,
  principalSchema,
  refusalFactory,
  secondsSchema,
  tenantSchema,
  validity,
} from './claim-schemas.js';
import { COMPENSATOR_NAME } from './effective-credential.js';

/** A longer compensation authorization is neither signed nor taken. */
const MAX_COMPENSATION_AUTHORIZATION_BYTES = 4096;

/** It is good for one proposal, which is one action however long people think about it; after this it has to be asked for anew. */
export const COMPENSATION_AUTHORIZATION_TTL_SECONDS = 30 * 24 * 3600;

/** The one role of whoever acts under a compensation authorization. Policy grants it nothing but undoing, when it asks for `context.compensates` too. */
const COMPENSATOR_ROLE = 'compensator';

const refuse = refusalFactory('AGENT_UNVERIFIED', 'signature');

export interface CompensationAuthorizationClaims {
  readonly tenant: string;
  /** The action that is undone, the hash of its receipt and the digest of its recorded outcome. */
  readonly cause: { readonly actionId: string; readonly receipt: Digest; readonly outcomeDigest: Digest };
  /** Who did it; may not approve its undoing, nor may its owner. */
  readonly agent: string;
  readonly owner?: string;
  readonly tool: string;
  /** Of the proposal that undoes it. */
  readonly digest: Digest;
  /** Of the state in which it may be undone: the one that the cause left. */
  readonly preDigest: Digest;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly exp: number;
}

const claimsSchema: z.ZodType<CompensationAuthorizationClaims> = z
  .strictObject({
    tenant: tenantSchema,
    cause: z.strictObject({ actionId: actionIdSchema, receipt: digestSchema, outcomeDigest: digestSchema }),
    agent: agentIdSchema,
    owner: principalSchema.exactOptional(),
    tool: nameSchema,
    digest: digestSchema,
    preDigest: digestSchema,
    iat: secondsSchema,
    exp: secondsSchema,
  })
  .refine(({ iat, exp }) => exp > iat && exp - iat <= COMPENSATION_AUTHORIZATION_TTL_SECONDS, { path: ['exp'] });

const form = {
  type: 'compensation',
  maxBytes: MAX_COMPENSATION_AUTHORIZATION_BYTES,
  claims: claimsSchema,
  refuse,
} as const;

/** The header begins with `alg` and `typ`, so whole groups of three bytes of it are the same in every compensation authorization. */
const BEGINNING = (() => {
  const header = `{"alg":"EdDSA","typ":"${TOKEN_TYPES.compensation}"`;
  return Buffer.from(header.slice(0, header.length - (header.length % 3))).toString('base64url');
})();

/** Whether a proposal signature says of itself that it is a compensation authorization. What it is worth, `verifyCompensationAuthorization` tells. */
export function isCompensationAuthorization(signature: string): boolean {
  return signature.startsWith(BEGINNING);
}

/** @throws CountersignError KEYS_MISSING, or INTERNAL when the claims are not what `verifyCompensationAuthorization` would take */
export async function signCompensationAuthorization(
  keyring: Keyring,
  claims: CompensationAuthorizationClaims,
): Promise<string> {
  const { key, kid } = signingKey(keyring, 'grant');
  const parsed = claimsSchema.safeParse(claims);
  if (!parsed.success) {
    throw new CountersignError(
      'INTERNAL',
      `The compensation authorization cannot be signed: ${describeShapeError(parsed.error)}.`,
      {
        field: `authorization.${parsed.error.issues[0]?.path.join('.') ?? ''}`,
      },
    );
  }
  return signToken('compensation', parsed.data, key, kid);
}

/** A verified compensation authorization, and who acts under it. */
export interface CompensationAuthorization {
  readonly claims: CompensationAuthorizationClaims;
  readonly agent: Agent;
  readonly authority: Authority;
}

/**
 * Verifies that a worker let this proposal be made. Nothing of the cause's agent is borrowed but its name: neither its roles and scopes,
 * nor its credential, which may have expired or been revoked since.
 *
 * @throws CountersignError AGENT_UNVERIFIED
 */
export async function verifyCompensationAuthorization(
  keyring: Keyring,
  signature: string,
  { digest, now }: { readonly digest: Digest; readonly now: Date },
): Promise<CompensationAuthorization> {
  const claims = await openIssued(signature, form, keyring.verify.grant);
  if (claims.digest !== digest) throw refuse('The compensation authorization is for another proposal');
  if (validity(claims, now) !== 'valid') {
    throw refuse('The compensation authorization is over, or not valid yet', {
      fix: 'Have the action undone anew: it is authorized then.',
    });
  }
  const { tenant, owner, tool } = claims;
  const agent: Agent = {
    id: compensatorOf(claims.agent),
    tenant,
    roles: [COMPENSATOR_ROLE],
    scopes: [tool],
    ...(owner === undefined ? {} : { owner }),
  };
  return { claims, agent, authority: { credentials: [], caps: [], above: [] } };
}

/** `bot/undo`: no delegate can have this name. */
function compensatorOf(agent: string): string {
  const id = `${agent}/${COMPENSATOR_NAME}`;
  if (id.length > MAX_AGENT_ID)
    throw refuse(`The id ${COMPENSATOR_NAME} below the agent's is longer than ${MAX_AGENT_ID} characters`);
  return id;
}
