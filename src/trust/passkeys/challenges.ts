/** What a passkey signs: a challenge made of exactly what is said with it. */
import { createHash } from 'node:crypto';
import { canonical, type Digest } from '../../action/json.js';
import type { Verdict } from '../../action/outcome.js';

/** What a decision says with a passkey. */
export interface AssertedDecision {
  readonly tenant: string;
  readonly actionId: string;
  /** Digest of what the person saw (`PendingView.shownDigest`). */
  readonly shownDigest: Digest;
  /** Of the policy that asked for the decision. */
  readonly policyDigest: Digest;
  readonly verdict: Verdict;
}

/** The challenge of an assertion: base64url of the SHA-256 over what is decided, in canonical JSON (RFC 8785). 43 characters. */
export function challengeOf({ tenant, actionId, shownDigest, policyDigest, verdict }: AssertedDecision): string {
  return hashed({ purpose: 'countersign decision', tenant, actionId, shownDigest, policyDigest, verdict });
}

/**
 * The challenge of a registration. `nonce` is the `jti` that the signed command `enrol_passkey` will have: so a response is good for this person
 * of this tenant, in this one signed command, which is good once.
 */
export function registrationChallengeOf(enrolment: {
  readonly tenant: string;
  /** Id of who enrols. */
  readonly person: string;
  readonly nonce: string;
}): string {
  const { tenant, person, nonce } = enrolment;
  return hashed({ purpose: 'countersign enrolment', tenant, person, nonce });
}

function hashed(said: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(canonical(said), 'utf8').digest('base64url');
}
