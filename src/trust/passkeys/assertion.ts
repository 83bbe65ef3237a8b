/** An assertion by a passkey (WebAuthn): that a person in front of their authenticator decided this, about exactly what they were shown. */
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import type { PasskeySettings, StoredPasskey } from '../../action/passkey.js';
import type { Approver } from '../../action/principal.js';
import { samePerson } from '../../action/quorum.js';
import {
  base64url,
  bytesOf,
  checkClientData,
  malformed,
  refusePasskey,
  responseShape,
  unverified,
  verifying,
} from './response.js';

const assertion = {
  clientDataJSON: base64url(4096),
  authenticatorData: base64url(2048),
  /** RSA of 4096 bits is 683 characters. */
  signature: base64url(1024),
};
/** What counts of a response: no signature covers the rest. */
const looseAssertionSchema = z.object({ ...responseShape, response: z.object(assertion) });
/** As it is embedded in an approval. */
export const assertionResponseSchema = z.strictObject({
  ...responseShape,
  response: z.strictObject(assertion),
  clientExtensionResults: z.strictObject({}),
});
/** What counts of a browser's response, to be signed with an approval. @throws CountersignError PASSKEY_INVALID */
export function readAssertion(response: unknown): AuthenticationResponseJSON {
  const parsed = looseAssertionSchema.safeParse(response);
  if (!parsed.success) throw malformed();
  return { ...parsed.data, clientExtensionResults: {} };
}

export interface Assertion {
  /** From anybody: of any shape. */
  readonly response: AuthenticationResponseJSON;
  /** As `challengeOf` makes it, from what is decided and not from what the response says. */
  readonly challenge: string;
  /** As the ledger has it under `response.id`. */
  readonly passkey: StoredPasskey;
  /** Who decides: the passkey must be theirs. */
  readonly approver: Pick<Approver, 'id' | 'tenant'>;
  readonly settings: PasskeySettings;
}

/**
 * Verifies that this person's passkey, after it verified the person, signed this challenge on a page of ours. Counters are compared by
 * `ledger.passkeys.used`, which knows what was used before: an assertion is verified more than once.
 *
 * @throws CountersignError PASSKEY_INVALID
 */
export async function verifyAssertion(given: Assertion): Promise<{ readonly newCounter: number }> {
  const { challenge, passkey, approver, settings } = given;
  const response = readAssertion(given.response);
  if (passkey.tenant !== approver.tenant || !samePerson(passkey.person, approver.id)) {
    throw refusePasskey("The passkey is another person's", { expected: 'a passkey that the approver enrolled' });
  }
  if (passkey.retired !== undefined) {
    throw refusePasskey('The passkey was retired', { fix: 'Use another passkey, or enrol a new one.' });
  }
  if (response.id !== passkey.credentialId || response.rawId !== response.id) {
    throw refusePasskey('The assertion is of another passkey');
  }
  checkClientData(response.response.clientDataJSON, 'webauthn.get', challenge, settings);
  const { verifyAuthenticationResponse } = await import('@simplewebauthn/server');
  const { verified, authenticationInfo } = await verifying(() =>
    verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: [...settings.origins],
      expectedRPID: settings.rpId,
      requireUserVerification: true,
      // A counter of 0 switches the library's comparison off.
      credential: { id: passkey.credentialId, publicKey: bytesOf(passkey.publicKey), counter: 0 },
    }),
  );
  if (!verified || !authenticationInfo.userVerified) throw unverified();
  return { newCounter: authenticationInfo.newCounter };
}
