/** The operator's keys: five roles of Ed25519 keys, each good for one purpose only. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { CountersignError, type Problem } from '../action/errors.js';
import { parseJson } from '../action/parse.js';

/**
 * `issuer` signs credentials of agents and approvers; `grant` and `receipt` are for workers that decide; `tool` is for workers that touch
 * a tool's system, and seals what they read and did; `gateway` attests whom a gateway knows, for one thing at a time, and may be
 * absent where there is no gateway.
 */
export const KEY_ROLES = ['issuer', 'grant', 'receipt', 'tool', 'gateway'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

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

export interface SigningKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly key: PrivateKey;
}

/** What a process may sign and verify. Any part of it may be absent: a worker needs no private issuer key, a reader needs public keys only. */
export interface Keyring {
  readonly sign: { readonly [role in KeyRole]?: SigningKey };
  /** Public keys by RFC 7638 thumbprint; several in a role while keys are rotated. */
  readonly verify: { readonly [role in KeyRole]: ReadonlyMap<string, VerifyingKey> };
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

/** The JSON of a key file. The first private key of each role signs; all verify. */
export type KeyringFile = { readonly [role in KeyRole]?: readonly Ed25519Jwk[] };

/** 32 bytes in base64url: 43 characters, the last of them carrying four bits. */
const BYTES_32 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

export const publicJwkSchema = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(BYTES_32),
});
export const privateJwkSchema = publicJwkSchema.extend({ d: z.string().regex(BYTES_32) });

const keySchema = publicJwkSchema.extend({
  d: z.string().regex(BYTES_32).optional(),
  kid: z.string().optional(),
  use: z.literal('sig').optional(),
  alg: z.enum(['EdDSA', 'Ed25519']).optional(),
});
const keysSchema = z.array(keySchema).max(32).exactOptional();
const fileSchema = z.strictObject({
  issuer: keysSchema,
  grant: keysSchema,
  receipt: keysSchema,
  tool: keysSchema,
  gateway: keysSchema,
});

/** The roles as they are named to people: `"issuer", "grant", …`. */
const ROLE_NAMES = KEY_ROLES.map((role) => `"${role}"`).join(', ');

/** A new private key. */
export async function generateKey(): Promise<Ed25519Jwk & { readonly d: string }> {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return privateJwkSchema.parse({ kty: 'OKP', crv: 'Ed25519', x, d });
}

/** A new private key for each of the roles, as the content of a key file. */
export async function generateKeyringFile(roles: readonly KeyRole[] = KEY_ROLES): Promise<KeyringFile> {
  const made = await Promise.all(roles.map(async (role) => [role, [await inFile(await generateKey())]] as const));
  return Object.fromEntries(made) as KeyringFile;
}

/** A private key as a key file holds it. */
async function inFile(key: { readonly x: string; readonly d: string }): Promise<Ed25519Jwk> {
  const kid = await calculateJwkThumbprint(bare(key.x));
  return { ...bare(key.x), d: key.d, kid, use: 'sig', alg: 'EdDSA' };
}

/**
 * The content of a key file made before gateways had keys, with one: derived from the issuer's (HKDF, RFC 5869), so that of several
 * processes that add it at once all add the same. Undefined when there is one already, or no private issuer key. For development: elsewhere
 * the gateway's key shall not follow from another.
 *
 * @throws CountersignError KEYS_INVALID
 */
export async function withGatewayKey(text: string, source: string): Promise<KeyringFile | undefined> {
  const parsed = fileSchema.safeParse(parseKeyText(text, source));
  if (!parsed.success) throw misshapenFile(parsed.error, source);
  const issuer = parsed.data.issuer?.find(({ d }) => d !== undefined)?.d;
  if (issuer === undefined || (parsed.data.gateway ?? []).length > 0) return undefined;
  const seed = hkdfSync('sha256', Buffer.from(issuer, 'base64url'), '', 'countersign development gateway key', 32);
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, Buffer.from(seed)]),
    format: 'der',
    type: 'pkcs8',
  });
  const { x, d } = key.export({ format: 'jwk' });
  return { ...parsed.data, gateway: [await inFile(privateJwkSchema.parse({ kty: 'OKP', crv: 'Ed25519', x, d }))] };
}

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, 7). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Reads the text of a key file. `source` names it in errors; `publicOnly` refuses private keys where none should be.
 *
 * @throws CountersignError KEYS_INVALID naming the field, and never what it holds
 */
export async function parseKeyring(
  text: string,
  source: string,
  { publicOnly = false }: { readonly publicOnly?: boolean } = {},
): Promise<Keyring> {
  const parsed = fileSchema.safeParse(parseKeyText(text, source));
  if (!parsed.success) throw misshapenFile(parsed.error, source);

  const sign: { [role in KeyRole]?: SigningKey } = {};
  const verify = {
    issuer: new Map(),
    grant: new Map(),
    receipt: new Map(),
    tool: new Map(),
    gateway: new Map(),
  } satisfies Record<KeyRole, Map<string, VerifyingKey>>;
  const places = new Map<string, string>();
  for (const role of KEY_ROLES) {
    for (const [index, jwk] of (parsed.data[role] ?? []).entries()) {
      const place = `${role}[${index}]`;
      const field = `${source}.${place}`;
      if (publicOnly && jwk.d !== undefined) {
        throw keysInvalid(`${field} is a private key where only public keys belong`, {
          field: `${field}.d`,
          expected: 'a public key',
          fix: 'Remove "d"; if this file was shared, replace the key.',
        });
      }
      const { kid, publicKey, privateKey } = await importKey(jwk, field);
      const earlier = places.get(kid);
      if (earlier !== undefined) {
        throw keysInvalid(`${field} is the same key as ${earlier}`, {
          field,
          expected: 'each key once, in one role',
          fix: 'Give every role keys of its own.',
        });
      }
      places.set(kid, place);
      verify[role].set(kid, publicKey);
      if (privateKey !== undefined) sign[role] ??= { kid, key: privateKey };
    }
  }
  if (places.size === 0) {
    throw keysInvalid(`${source} holds no keys`, {
      field: source,
      expected: `at least one key in one of ${ROLE_NAMES}`,
    });
  }
  return { sign, verify };
}

/** The public part of a keyring, as the content of a key file that anybody may have. */
export async function publicKeyring(keyring: Keyring): Promise<KeyringFile> {
  const roles = KEY_ROLES.map((role) => {
    const keys = [...keyring.verify[role]].map(([kid, { x }]): Ed25519Jwk => ({
      kty: 'OKP',
      crv: 'Ed25519',
      x,
      kid,
      use: 'sig',
      alg: 'EdDSA',
    }));
    return [role, keys] as const;
  });
  return Object.fromEntries(roles.filter(([, keys]) => keys.length > 0));
}

/**
 * The content of a key file without the private keys of any but these roles.
 *
 * @throws CountersignError KEYS_INVALID; KEYS_MISSING when a private key that is to stay is not there
 */
export async function narrowedKeyring(text: string, source: string, roles: readonly KeyRole[]): Promise<KeyringFile> {
  const keyring = await parseKeyring(text, source);
  for (const role of roles) signingKey(keyring, role);
  const file = fileSchema.parse(parseKeyText(text, source));
  const kept = KEY_ROLES.map((role) => {
    const keys = (file[role] ?? []).map(({ d, ...key }): Ed25519Jwk => (roles.includes(role) ? { ...key, d } : key));
    return [role, keys] as const;
  });
  return Object.fromEntries(kept.filter(([, keys]) => keys.length > 0));
}

/** The key that signs for a role. @throws CountersignError KEYS_MISSING */
export function signingKey(keyring: Keyring, role: KeyRole): SigningKey {
  const key = keyring.sign[role];
  if (key !== undefined) return key;
  throw new CountersignError('KEYS_MISSING', `This process has no private ${role} key.`, {
    field: role,
    expected: `a private Ed25519 key under "${role}"`,
    fix: 'Add the key to COUNTERSIGN_KEYS or to the file that COUNTERSIGN_KEYS_FILE names.',
  });
}

/** Imports the private key of a credential. @throws CountersignError KEYS_INVALID */
export function importPrivate({ x, d }: { readonly x: string; readonly d: string }, field: string): PrivateKey {
  return usable(field, () => privateKey(x, d));
}

/** Imports a public key that was attested. @throws CountersignError KEYS_INVALID */
export function importPublic({ x }: { readonly x: string }, field: string): VerifyingKey {
  return usable(field, () => verifyingKey(x));
}

async function importKey(
  jwk: Ed25519Jwk,
  field: string,
): Promise<{ kid: string; publicKey: VerifyingKey; privateKey: PrivateKey | undefined }> {
  const kid = await calculateJwkThumbprint(bare(jwk.x));
  if (jwk.kid !== undefined && jwk.kid !== kid) {
    throw keysInvalid(`${field}.kid is not the key's thumbprint`, {
      field: `${field}.kid`,
      expected: 'the RFC 7638 thumbprint, or no kid',
      fix: 'Remove "kid".',
    });
  }
  const { x, d } = jwk;
  return {
    kid,
    publicKey: importPublic({ x }, field),
    privateKey: d === undefined ? undefined : importPrivate({ x, d }, field),
  };
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
      const id = createHash('sha256').update(x).update(signature).update(data).digest('base64');
      if (verified.has(id)) return true;
      if (!verify(null, data, key, signature)) return false;
      verified.set(id, true);
      return true;
    },
  };
}

/** Signatures that verified. Nothing makes one invalid later, and each step of an action verifies those of the steps before it again. */
const verified = new LRUCache<string, true>({ max: 10_000 });

/** The key is held by the closure alone, where neither inspection nor export reaches it. */
function privateKey(x: string, d: string): PrivateKey {
  const key = createPrivateKey({ key: { ...bare(x), d }, format: 'jwk' });
  // Node reads `d` and lets any `x` pass.
  if (publicPart(key) !== x) throw new Error('the two parts do not belong together');
  return { sign: (data) => sign(null, data, key) };
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

/** Parse errors quote the text, which here is secret: only the position is passed on. */
function parseKeyText(text: string, source: string): unknown {
  try {
    return parseJson(text, source);
  } catch (error) {
    const position = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw keysInvalid(`${source} is not JSON${position === undefined ? '' : ` (at position ${position})`}`, {
      field: source,
      expected: 'JSON: {"issuer": […], "grant": […], "receipt": […], "tool": […], "gateway": […]}, each key once',
      fix: 'Check quotes, commas and brackets.',
    });
  }
}

function misshapenFile(error: z.ZodError, source: string): CountersignError {
  const issue = error.issues[0];
  const [role, index, member] = issue?.path ?? [];
  const field = `${source}${role === undefined ? '' : `.${String(role)}`}${index === undefined ? '' : `[${String(index)}]`}${member === undefined ? '' : `.${String(member)}`}`;
  if (issue?.code === 'unrecognized_keys') {
    return keysInvalid(`${field} has a member that does not belong there`, {
      field,
      expected: role === undefined ? `only ${ROLE_NAMES}` : 'only kty, crv, x, d, kid, use and alg',
    });
  }
  return keysInvalid(`${field} is not what an Ed25519 key file holds there`, { field, expected: expectedAt(member) });
}

function expectedAt(member: PropertyKey | undefined): string {
  switch (member) {
    case 'kty':
      return '"OKP"';
    case 'crv':
      return '"Ed25519"';
    case 'x':
    case 'd':
      return '32 bytes in base64url without padding';
    case 'use':
      return '"sig"';
    case 'alg':
      return '"EdDSA" or "Ed25519"';
    default:
      return 'lists of Ed25519 keys as JWK, at most 32 in each';
  }
}

export function keysInvalid(message: string, problem: Problem): CountersignError {
  return new CountersignError('KEYS_INVALID', message, problem);
}
