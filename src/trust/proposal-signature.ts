/** An agent's signature over its proposal's digest: what travels instead of a secret, good for that proposal only. */
import { z } from 'zod';
import type { Digest } from '../action/json.js';
import type { Agent, Auth, Authority } from '../action/principal.js';
import { MAX_CREDENTIAL_BYTES } from './claims.js';
import type { Credential } from './credentials.js';
import { heldCredentialOf, holderKey, verifyHolder } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';
import { CLOCK_TOLERANCE_SECONDS, digestSchema, refusalFactory, seconds, secondsSchema } from './claim-schemas.js';
import { agentOf, authorityOf, chainSchema } from './effective-credential.js';

/** A longer proposal signature is refused unparsed. Holds a credential and the longest chain of delegations; without any it is 1 KiB. */
export const MAX_PROPOSAL_SIGNATURE_BYTES = 32 * 1024;

const refuse = refusalFactory('AGENT_UNVERIFIED', 'signature');

const claimsSchema = z.strictObject({
  digest: digestSchema,
  credential: z.string().max(MAX_CREDENTIAL_BYTES),
  delegations: chainSchema.optional(),
  iat: secondsSchema,
});

const form = { type: 'proposal', maxBytes: MAX_PROPOSAL_SIGNATURE_BYTES, claims: claimsSchema, refuse } as const;

/** Signs a proposal's digest. @throws CountersignError KEYS_INVALID for a credential that is not an agent's */
export async function signProposal(credential: Credential, digest: Digest, now = new Date()): Promise<string> {
  const key = await holderKey(credential, 'agent');
  return signToken('proposal', { digest, ...heldCredentialOf(credential), iat: seconds(now) }, key, undefined);
}

/** Who proposes, and what their authority rests on. */
export interface Proposer {
  readonly agent: Agent;
  readonly authority: Authority;
  /** Set when a gateway attests the agent: how it knew it. */
  readonly auth?: Auth;
}

/**
 * Verifies that an agent whom the issuer or (for this proposal) a gateway attests, or to whom such an agent delegated, signed this digest. Whether one of its
 * `authority.credentials` was revoked is for the ledger.
 *
 * A proposal signature has no expiry of its own: it says "I propose this action", whose id makes it one effect however often it is said.
 * It is worth nothing once the credential, or a delegation it rests on, has expired.
 *
 * @throws CountersignError AGENT_UNVERIFIED
 */
export async function verifyProposal(
  keyring: Keyring,
  signature: string,
  { digest, now }: { readonly digest: Digest; readonly now: Date },
): Promise<Proposer> {
  const { claims, holder } = await openHeld(signature, form, (held) =>
    verifyHolder(keyring, held, { kind: 'agent', signs: held.digest, now, refuse }),
  );
  if (claims.digest !== digest) {
    throw refuse('The proposal signature is for another proposal', {
      expected: "a signature over this proposal's digest",
      fix: 'Sign the proposal exactly as it is sent.',
    });
  }
  if (!(claims.iat <= seconds(now) + CLOCK_TOLERANCE_SECONDS)) {
    throw refuse('The proposal signature was signed in the future', {
      fix: "Check the clocks of the agent's machine and the worker's.",
    });
  }
  const { attestation } = holder;
  return {
    agent: agentOf(holder),
    authority: authorityOf(holder),
    ...(attestation === undefined ? {} : { auth: attestation.auth }),
  };
}
