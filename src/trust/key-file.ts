/** Key files: the operator's keys as JSON, by role. How they are made, read, and narrowed to what one process needs. */
import { hkdfSync } from 'node:crypto';
import { z } from 'zod';
import type { CountersignError } from '../action/errors.js';
import { parseJson } from '../action/parse.js';
import {
  generateKey,
  importPrivate,
  importPublic,
  keyOfSeed,
  keysInvalid,
  privateJwkSchema,
  publicJwkSchema,
  thumbprint,
  type Ed25519Jwk,
  type PrivateJwk,
  type PrivateKey,
  type VerifyingKey,
} from './ed25519.js';
import { KEY_ROLES, signingKey, type Keyring, type KeyRole, type SigningKey } from './keys.js';

/** The JSON of a key file. The first private key of each role signs; all verify. */
export type KeyringFile = { readonly [role in KeyRole]?: readonly Ed25519Jwk[] };

const keySchema = publicJwkSchema.extend({
  d: privateJwkSchema.shape.d.optional(),
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

/** A new private key for each of the roles, as the content of a key file. */
export async function generateKeyringFile(roles: readonly KeyRole[] = KEY_ROLES): Promise<KeyringFile> {
  const made = await Promise.all(roles.map(async (role) => [role, [await inFile(await generateKey())]] as const));
  return Object.fromEntries(made) as KeyringFile;
}

/** A private key as a key file holds it. */
async function inFile({ x, d }: PrivateJwk): Promise<Ed25519Jwk> {
  return { kty: 'OKP', crv: 'Ed25519', x, d, kid: await thumbprint(x), use: 'sig', alg: 'EdDSA' };
}

/**
 * The content of a key file made before gateways had keys, with one: derived from the issuer's (HKDF, RFC 5869), so that of several
 * processes that add it at once all add the same. Undefined when there is one already, or no private issuer key. For development: elsewhere
 * the gateway's key shall not follow from another.
 *
 * @throws CountersignError KEYS_INVALID
 */
export async function withGatewayKey(text: string, source: string): Promise<KeyringFile | undefined> {
  const file = fileIn(text, source);
  const issuer = file.issuer?.find(({ d }) => d !== undefined)?.d;
  if (issuer === undefined || (file.gateway ?? []).length > 0) return undefined;
  const seed = hkdfSync('sha256', Buffer.from(issuer, 'base64url'), '', 'countersign development gateway key', 32);
  return { ...file, gateway: [await inFile(keyOfSeed(seed))] };
}

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
  const file = fileIn(text, source);
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
    for (const [index, jwk] of (file[role] ?? []).entries()) {
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

async function importKey(
  jwk: Ed25519Jwk,
  field: string,
): Promise<{ kid: string; publicKey: VerifyingKey; privateKey: PrivateKey | undefined }> {
  const kid = await thumbprint(jwk.x);
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
  const file = fileIn(text, source);
  const kept = KEY_ROLES.map((role) => {
    const keys = (file[role] ?? []).map(({ d, ...key }): Ed25519Jwk => (roles.includes(role) ? { ...key, d } : key));
    return [role, keys] as const;
  });
  return Object.fromEntries(kept.filter(([, keys]) => keys.length > 0));
}

/** @throws CountersignError KEYS_INVALID */
function fileIn(text: string, source: string): KeyringFile {
  const parsed = fileSchema.safeParse(parseKeyText(text, source));
  if (!parsed.success) throw misshapenFile(parsed.error, source);
  return parsed.data;
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
