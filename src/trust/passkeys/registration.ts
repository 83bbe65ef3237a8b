/** A registration (WebAuthn): a new passkey, made for one person by one signed command. */
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import type { PasskeySettings } from '../../action/passkey.js';
import { registrationChallengeOf } from './challenges.js';
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
import { PASSKEY_ALGORITHMS } from './settings.js';

const registrationSchema = z.object({
  ...responseShape,
  response: z.object({
    clientDataJSON: base64url(4096),
    attestationObject: base64url(8192),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/))
      .max(8)
      .optional(),
  }),
});

/** At most this much of a registration's JSON is carried in a signed command. */
export const MAX_REGISTRATION_CHARACTERS = 8192;

/** A COSE key of RSA with 4096 bits is 530 bytes. */
const MAX_PUBLIC_KEY_BYTES = 1024;

/** A new passkey, as its authenticator made it. */
export interface Registration {
  readonly credentialId: string;
  /** COSE key, base64url. */
  readonly publicKey: string;
  readonly counter: number;
  /** As the browser says. */
  readonly transports: readonly string[];
}

/**
 * Verifies a new passkey. Who made the authenticator is not asked: an attestation by a manufacturer is refused unread, because to verify
 * one, addresses named in its certificates would be fetched.
 *
 * @throws CountersignError PASSKEY_INVALID
 */
export async function verifyRegistration(given: {
  /** From anybody: of any shape. */
  readonly response: RegistrationResponseJSON;
  /** As `registrationChallengeOf` makes it. */
  readonly challenge: string;
  readonly settings: PasskeySettings;
}): Promise<Registration> {
  const { challenge, settings } = given;
  const parsed = registrationSchema.safeParse(given.response);
  if (!parsed.success) throw malformed();
  const { id, rawId, type, response } = parsed.data;
  const { clientDataJSON, attestationObject, transports = [] } = response;
  checkClientData(clientDataJSON, 'webauthn.create', challenge, settings);
  const [{ verifyRegistrationResponse }, { decodeAttestationObject }] = await Promise.all([
    import('@simplewebauthn/server'),
    import('@simplewebauthn/server/helpers'),
  ]);
  const attested = await verifying(async () => {
    const object = decodeAttestationObject(bytesOf(attestationObject));
    return { by: object.get('fmt'), certified: object.get('attStmt').get('x5c') !== undefined };
  });
  if (attested.certified || (attested.by !== 'none' && attested.by !== 'packed')) {
    throw refusePasskey('The registration carries an attestation', {
      expected: 'a registration made with the attestation "none"',
    });
  }
  const { verified, registrationInfo } = await verifying(() =>
    verifyRegistrationResponse({
      response: { id, rawId, type, response: { clientDataJSON, attestationObject }, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: [...settings.origins],
      expectedRPID: settings.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: [...PASSKEY_ALGORITHMS],
    }),
  );
  if (!verified || !registrationInfo.userVerified) throw unverified();
  const { credential } = registrationInfo;
  // The library takes the outer id for granted, which no signature covers.
  if (credential.id !== id || rawId !== id) throw refusePasskey('The registration names another passkey than it holds');
  if (credential.publicKey.length > MAX_PUBLIC_KEY_BYTES) throw refusePasskey("The passkey's public key is too long");
  return {
    credentialId: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    counter: credential.counter,
    transports: [...new Set(transports)],
  };
}

/**
 * Verifies the passkey that a verified signed command enrols: made for this person and tenant, and for this very signed command.
 *
 * @param command as `verifyCommand` returned it; whether it was used before is for the ledger
 * @throws CountersignError PASSKEY_INVALID
 */
export async function verifyEnrolment(
  command: {
    readonly kind: 'enrol_passkey';
    readonly tenant: string;
    readonly by: string;
    readonly jti: string;
    readonly subject: string;
    readonly response: string;
  },
  settings: PasskeySettings,
): Promise<Registration> {
  const { tenant, by: person, jti: nonce, subject } = command;
  let response: RegistrationResponseJSON;
  try {
    response = JSON.parse(command.response) as RegistrationResponseJSON;
  } catch {
    throw malformed();
  }
  const challenge = registrationChallengeOf({ tenant, person, nonce });
  const registration = await verifyRegistration({ response, challenge, settings });
  if (registration.credentialId !== subject)
    throw refusePasskey('The signed command names another passkey than it holds');
  return registration;
}
