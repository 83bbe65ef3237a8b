/** Verifies a credential's token, and holds the private key of one's own: both ends of the proof of possession (RFC 7800). */
import { createHash } from 'node:crypto';
import type { CryptoKey } from 'jose';
import { CountersignError } from '../action/errors.js';
import {
  agentClaimsSchema,
  approverClaimsSchema,
  MAX_CREDENTIAL_BYTES,
  type Credential,
  type CredentialKind,
} from './credentials.js';
import { openIssued } from './jws.js';
import { importPrivate, importPublic, type Keyring } from './keys.js';
import { validity, type Refuse } from './shapes.js';

/** Whom a verified credential names, and the key they prove it by. */
export interface Holder {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly owner?: string;
  readonly key: CryptoKey;
  readonly iat: number;
  readonly exp: number;
}

/** Verified credentials are kept for this many holders per keyring: the same agents propose again and again. */
const CACHED = 1000;

/** By keyring, so that a key taken out of the keys takes its credentials with it. */
const verified = new WeakMap<Keyring, Map<string, Holder>>();

/**
 * Verifies that the issuer vouches for the token and that it is valid at `now`.
 *
 * @throws what `refuse` makes
 */
export async function verifyHolder(
  keyring: Keyring,
  token: string,
  { kind, now, refuse }: { readonly kind: CredentialKind; readonly now: Date; readonly refuse: Refuse },
): Promise<Holder> {
  const cache = cacheOf(keyring);
  const key = `${kind} ${createHash('sha256').update(token).digest('base64')}`;
  const holder = cache.get(key) ?? (await open(keyring, token, kind, refuse));
  // Re-inserted, so that the first key is always the one used longest ago.
  cache.delete(key);
  cache.set(key, holder);
  if (cache.size > CACHED) cache.delete(cache.keys().next().value as string);

  const state = validity(holder, now);
  if (state === 'early') {
    throw refuse('The credential is not valid yet', { fix: 'Check the clocks of issuer and worker.' });
  }
  if (state === 'expired') {
    throw refuse('The credential has expired', { fix: 'Ask the operator for a new credential.' });
  }
  return holder;
}

async function open(keyring: Keyring, token: string, kind: CredentialKind, refuse: Refuse): Promise<Holder> {
  const form = { type: kind, maxBytes: MAX_CREDENTIAL_BYTES, refuse: inCredential(refuse) };
  const claims =
    kind === 'agent'
      ? await openIssued(token, { ...form, claims: agentClaimsSchema }, keyring.verify.issuer)
      : { ...(await openIssued(token, { ...form, claims: approverClaimsSchema }, keyring.verify.issuer)), scopes: [] };
  const { sub, tenant, roles, scopes, iat, exp, cnf } = claims;
  const owner = 'owner' in claims && claims.owner !== undefined ? { owner: claims.owner } : {};
  const key = await importPublic(cnf.jwk, 'cnf.jwk').catch(() => {
    throw refuse('The credential vouches for a key that cannot be used');
  });
  return { id: sub, tenant, roles, scopes, ...owner, key, iat, exp };
}

function inCredential(refuse: Refuse): Refuse {
  return (problem, details) => refuse(`The credential: ${problem}`, details);
}

function cacheOf(keyring: Keyring): Map<string, Holder> {
  let cache = verified.get(keyring);
  if (cache === undefined) verified.set(keyring, (cache = new Map()));
  return cache;
}

const privateKeys = new WeakMap<Credential, Promise<CryptoKey>>();

/**
 * The private key of one's own credential.
 *
 * @throws CountersignError KEYS_INVALID when the credential is of the other kind, or its key cannot be used
 */
export async function holderKey(credential: Credential, kind: CredentialKind): Promise<CryptoKey> {
  if (credential.kind !== kind) {
    throw new CountersignError(
      'KEYS_INVALID',
      kind === 'agent' ? "An approver's credential cannot propose." : "An agent's credential cannot approve.",
      { field: 'credential', expected: `the credential of an ${kind}` },
    );
  }
  let key = privateKeys.get(credential);
  if (key === undefined) {
    key = importPrivate(credential.privateJwk, 'credential.privateJwk');
    privateKeys.set(credential, key);
  }
  return key;
}
