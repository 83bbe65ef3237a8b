/** Warrants: the workers' signed permission to propose the undoing of one action. They take the place of an agent's proof. */
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
  misshapen,
  nameSchema,
  principalSchema,
  refusing,
  secondsSchema,
  tenantSchema,
  validity,
} from './shapes.js';
import { UNDOING } from './standing.js';

/** A longer warrant is neither signed nor taken. */
const MAX_WARRANT_BYTES = 4096;

/** It is good for one proposal, which is one action however long people think about it; after this it has to be asked for anew. */
export const WARRANT_TTL_SECONDS = 30 * 24 * 3600;

/** The one role of whoever acts under a warrant. Policy grants it nothing but undoing, when it asks for `context.compensates` too. */
const COMPENSATOR = 'compensator';

const refuse = refusing('AGENT_UNVERIFIED', 'proof');

export interface WarrantClaims {
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

const claimsSchema: z.ZodType<WarrantClaims> = z
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
  .refine(({ iat, exp }) => exp > iat && exp - iat <= WARRANT_TTL_SECONDS, { path: ['exp'] });

const form = { type: 'warrant', maxBytes: MAX_WARRANT_BYTES, claims: claimsSchema, refuse } as const;

/** The header begins with `alg` and `typ`, so whole groups of three bytes of it are the same in every warrant. */
const BEGINNING = (() => {
  const header = `{"alg":"EdDSA","typ":"${TOKEN_TYPES.warrant}"`;
  return Buffer.from(header.slice(0, header.length - (header.length % 3))).toString('base64url');
})();

/** Whether a proof says of itself that it is a warrant. What it is worth, `verifyWarrant` tells. */
export function isWarrant(proof: string): boolean {
  return proof.startsWith(BEGINNING);
}

/** @throws CountersignError KEYS_MISSING, or INTERNAL when the claims are not what `verifyWarrant` would take */
export async function signWarrant(keyring: Keyring, claims: WarrantClaims): Promise<string> {
  const { key, kid } = signingKey(keyring, 'grant');
  const parsed = claimsSchema.safeParse(claims);
  if (!parsed.success) {
    throw new CountersignError('INTERNAL', `The warrant cannot be signed: ${misshapen(parsed.error)}.`, {
      field: `warrant.${parsed.error.issues[0]?.path.join('.') ?? ''}`,
    });
  }
  return signToken('warrant', parsed.data, key, kid);
}

/** A verified warrant, and who acts under it. */
export interface Warrant {
  readonly claims: WarrantClaims;
  readonly agent: Agent;
  readonly authority: Authority;
}

/**
 * Verifies that a worker let this proposal be made. Nothing of the cause's agent is borrowed but its name: neither its roles and scopes,
 * nor its credential, which may have expired or been revoked since.
 *
 * @throws CountersignError AGENT_UNVERIFIED
 */
export async function verifyWarrant(
  keyring: Keyring,
  proof: string,
  { digest, now }: { readonly digest: Digest; readonly now: Date },
): Promise<Warrant> {
  const claims = await openIssued(proof, form, keyring.verify.grant);
  if (claims.digest !== digest) throw refuse('The warrant is for another proposal');
  if (validity(claims, now) !== 'valid') {
    throw refuse('The warrant is over, or not valid yet', {
      fix: 'Have the action undone anew: it is warranted then.',
    });
  }
  const { tenant, owner, tool } = claims;
  const agent: Agent = {
    id: undoerOf(claims.agent),
    tenant,
    roles: [COMPENSATOR],
    scopes: [tool],
    ...(owner === undefined ? {} : { owner }),
  };
  return { claims, agent, authority: { credentials: [], caps: [], above: [] } };
}

/** `bot/undo`: no delegate can have this name. */
function undoerOf(agent: string): string {
  const id = `${agent}/${UNDOING}`;
  if (id.length > MAX_AGENT_ID)
    throw refuse(`The id ${UNDOING} below the agent's is longer than ${MAX_AGENT_ID} characters`);
  return id;
}
