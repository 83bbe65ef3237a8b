/** Passkeys (WebAuthn): that a person in front of their authenticator said this, about exactly what they were shown. */
import { createHash } from 'node:crypto';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import { canonical, type Digest } from '../action/json.js';
import type { Verdict } from '../action/outcome.js';
import type { PasskeySettings, StoredPasskey } from '../action/passkey.js';
import type { Approver } from '../action/principal.js';
import { samePerson } from '../action/quorum.js';
import { refusalFactory } from './claim-schemas.js';

const refuse = refusalFactory('PASSKEY_INVALID', 'passkey');

/** Canonical, so that one response has one text. */
const base64url = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[A-Za-z0-9_-]+$/)
    .refine((text) => Buffer.from(text, 'base64url').toString('base64url') === text);

/** At most 1023 bytes (WebAuthn, 6.5.1). */
export const credentialIdSchema = base64url(1364);

const outer = { id: credentialIdSchema, rawId: credentialIdSchema, type: z.literal('public-key') };
const assertion = {
  clientDataJSON: base64url(4096),
  authenticatorData: base64url(2048),
  /** RSA of 4096 bits is 683 characters. */
  signature: base64url(1024),
};
/** What counts of a response: no signature covers the rest. */
const looseAssertionSchema = z.object({ ...outer, response: z.object(assertion) });
/** As it is embedded in an approval. */
export const assertionResponseSchema = z.strictObject({
  ...outer,
  response: z.strictObject(assertion),
  clientExtensionResults: z.strictObject({}),
});
const registrationSchema = z.object({
  ...outer,
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

/** EdDSA, ES256, RS256 (RFC 9053): the same on every worker, whatever its runtime could verify besides. */
export const PASSKEY_ALGORITHMS: readonly number[] = [-8, -7, -257];

/** For a config: every origin is the domain's or a subdomain's, and only loopback does without TLS. */
export const passkeySettingsSchema = z
  .strictObject({
    rpId: z.string().regex(/^(?:[a-z0-9-]+\.)*[a-z0-9-]+$/),
    origins: z.array(z.string()).min(1).max(16),
  })
  .refine(({ rpId, origins }) => origins.every((origin) => belongs(origin, rpId)), {
    path: ['origins'],
    message: 'origins (https, or http on localhost) of the domain rpId or below it, without a path',
  });

function belongs(origin: string, rpId: string): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && url.hostname === 'localhost');
  return secure && url.origin === origin && (url.hostname === rpId || url.hostname.endsWith(`.${rpId}`));
}

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
    throw refuse("The passkey is another person's", { expected: 'a passkey that the approver enrolled' });
  }
  if (passkey.retired !== undefined) {
    throw refuse('The passkey was retired', { fix: 'Use another passkey, or enrol a new one.' });
  }
  if (response.id !== passkey.credentialId || response.rawId !== response.id) {
    throw refuse('The assertion is of another passkey');
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
    throw refuse('The registration carries an attestation', {
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
  if (credential.id !== id || rawId !== id) throw refuse('The registration names another passkey than it holds');
  if (credential.publicKey.length > MAX_PUBLIC_KEY_BYTES) throw refuse("The passkey's public key is too long");
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
  if (registration.credentialId !== subject) throw refuse('The signed command names another passkey than it holds');
  return registration;
}

const clientDataSchema = z.object({
  type: z.string(),
  challenge: z.string(),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
  topOrigin: z.unknown().optional(),
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Ahead of the library, which lets a page in a frame of another site pass where the browser does not name that site, and to say what is wrong. */
function checkClientData(text: string, type: string, challenge: string, { origins }: PasskeySettings): void {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytesOf(text)));
  } catch {
    throw malformed();
  }
  const parsed = clientDataSchema.safeParse(value);
  if (!parsed.success || parsed.data.type !== type) throw malformed();
  const data = parsed.data;
  if (data.challenge !== challenge) {
    throw refuse('The passkey signed something else than this', {
      expected: 'the challenge for exactly what is said now',
      fix: 'Load the page again, look at what it shows, and use the passkey again.',
    });
  }
  if (!origins.includes(data.origin) || data.crossOrigin === true || data.topOrigin !== undefined) {
    throw refuse('The passkey was used on another site', {
      expected: `a page of ${origins.join(' or ')}, in no frame of another site`,
    });
  }
}

/** What the library says may repeat what anybody sent, so nothing of it is passed on. */
async function verifying<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch {
    throw unverified();
  }
}

function malformed(): Error {
  return refuse("The passkey's response is not of the expected shape", {
    expected: 'what the browser answered, as JSON',
  });
}

function unverified(): Error {
  return refuse("The passkey's response does not verify", {
    expected: 'a signature by the passkey, for this site, after it verified the person (PIN, fingerprint, face)',
    fix: 'Use the passkey again; where it asks for nothing, set a PIN on it.',
  });
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
