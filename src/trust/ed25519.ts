/** Ed25519 keys (RFC 8032) as JWK: made, imported, and used to sign and to verify. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { CountersignError, type Problem } from '../action/errors.js';

/**
 * An Ed25519 key to verify with (RFC 8032). Synchronous on purpose: WebCrypto takes each signature to the thread pool and back, which
 * costs more than the signature.
 */
export interface VerifyingKey {
  /** The key itself, 32 bytes in base64url: public. */
  readonly x: string;
  verifies(data: Uint8Array, signature: Uint8Array): boolean;
}

/** A private Ed25519 key, which can be used and neither exported nor printed. */
export interface PrivateKey {
  /** 64 bytes. */
  sign(data: Uint8Array): Buffer;
}

/** An Ed25519 key as JWK (RFC 8037). `d` makes it private. */
export interface Ed25519Jwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly d?: string | undefined;
  readonly kid?: string | undefined;
  readonly use?: 'sig' | undefined;
  readonly alg?: 'EdDSA' | 'Ed25519' | undefined;
}

/** 32 bytes in base64url: 43 characters, the last of them carrying four bits. */
const BYTES_32 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

export const publicJwkSchema = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(BYTES_32),
});
export const privateJwkSchema = publicJwkSchema.extend({ d: z.string().regex(BYTES_32) });

/** A private key as JWK, and nothing else. */
export type PrivateJwk = Ed25519Jwk & { readonly d: string };

/** A new private key. */
export async function generateKey(): Promise<PrivateJwk> {
  return jwkOf(generateKeyPairSync('ed25519').privateKey);
}

/** The private key of 32 bytes (RFC 8032, 5.1.5): the same for the same bytes. */
export function keyOfSeed(seed: ArrayBuffer): PrivateJwk {
  const key = Buffer.concat([PKCS8_ED25519, Buffer.from(seed)]);
  return jwkOf(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
}

function jwkOf(key: KeyObject): PrivateJwk {
  const { x, d } = key.export({ format: 'jwk' });
  return privateJwkSchema.parse({ kty: 'OKP', crv: 'Ed25519', x, d });
}

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, 7). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** RFC 7638 thumbprint of a public key. */
export function thumbprint(x: string): Promise<string> {
  return calculateJwkThumbprint(bare(x));
}

/** Imports the private key of a credential. @throws CountersignError KEYS_INVALID */
export function importPrivate({ x, d }: { readonly x: string; readonly d: string }, field: string): PrivateKey {
  return usable(field, () => privateKey(x, d));
}

/** Imports a public key that was attested. @throws CountersignError KEYS_INVALID */
export function importPublic({ x }: { readonly x: string }, field: string): VerifyingKey {
  return usable(field, () => verifyingKey(x));
}

/**
 * The points of small order, in both spellings where there are two, without the sign bit (RFC 8032, 5.1.3; the list is libsodium's). Under
 * such a key anybody can sign, and OpenSSL takes it: a key file with a placeholder of zeros would be an open door.
 */
const SMALL_ORDER = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

function verifyingKey(x: string): VerifyingKey {
  const point = Buffer.from(x, 'base64url');
  point.writeUInt8(point.readUInt8(31) & 0x7f, 31);
  if (SMALL_ORDER.has(point.toString('hex'))) throw new Error('a point of small order');
  const key = createPublicKey({ key: bare(x), format: 'jwk' });
  return {
    x,
    verifies: (data, signature) => {
      const id = signatureId(x, signature, data);
      if (verified.has(id)) return true;
      if (!verify(null, data, key, signature)) return false;
      verified.set(id, true);
      return true;
    },
  };
}

/**
 * Signatures that verified, and those that this process made itself. Nothing makes one invalid later, and each step of an action verifies
 * those of the steps before it again.
 */
const verified = new LRUCache<string, true>({ max: 10_000 });

function signatureId(x: string, signature: Uint8Array, data: Uint8Array): string {
  return createHash('sha256').update(x).update(signature).update(data).digest('base64');
}

/** The key is held by the closure alone, where neither inspection nor export reaches it. */
function privateKey(x: string, d: string): PrivateKey {
  const key = createPrivateKey({ key: { ...bare(x), d }, format: 'jwk' });
  // Node reads `d` and lets any `x` pass.
  if (publicPart(key) !== x) throw new Error('the two parts do not belong together');
  return {
    sign: (data) => {
      const signature = sign(null, data, key);
      verified.set(signatureId(x, signature, data), true);
      return signature;
    },
  };
}

function publicPart(key: KeyObject): string | undefined {
  return createPublicKey(key).export({ format: 'jwk' }).x;
}

function usable<T>(field: string, make: () => T): T {
  try {
    return make();
  } catch {
    // The cause is left out: what a crypto library says of a key is not ours to attest.
    throw keysInvalid(`${field} is not a usable Ed25519 key`, {
      field,
      expected: 'an Ed25519 JWK whose "d" and "x" belong together',
      fix: 'Copy the key again, whole.',
    });
  }
}

/** A public key without anything that could change how it is imported. */
function bare(x: string): { kty: 'OKP'; crv: 'Ed25519'; x: string } {
  return { kty: 'OKP', crv: 'Ed25519', x };
}

export function keysInvalid(message: string, problem: Problem): CountersignError {
  return new CountersignError('KEYS_INVALID', message, problem);
}
