/** Credentials: the issuer's word on who somebody is, with a key to prove it by. Issued by the operator, kept by the holder. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { canonical } from '../action/json.js';
import type { Agent, DelegationCap } from '../action/principal.js';
import { MAX_CREDENTIAL_BYTES, rolesSchema, scopesSchema } from './claims.js';
import { signToken } from './jws.js';
import { generateKey, keysInvalid, privateJwkSchema } from './ed25519.js';
import { signingKey, type Keyring, type SigningKey } from './keys.js';
import { describeShapeError, principalSchema, seconds, tenantSchema } from './claim-schemas.js';
import { agentOf, chainSchema, readEffectiveCredential, type CredentialKind } from './effective-credential.js';

/** What an agent or an approver keeps. `privateJwk` is secret and never leaves its holder; `token` is public. */
export interface Credential {
  readonly kind: CredentialKind;
  /** The issuer's JWT, with the public key in `cnf.jwk` (RFC 7800). */
  readonly token: string;
  /** What was delegated from the token's holder down to this one's: the tokens that each signed for the next. Public too. */
  readonly delegations?: readonly string[] | undefined;
  readonly privateJwk: z.infer<typeof privateJwkSchema>;
}

const DAY = 86_400;
const DEFAULT_TTL_SECONDS = 90 * DAY;
const MAX_TTL_SECONDS = 3650 * DAY;
const PREFIX = 'csk_';
/** Holds the longest token with the longest chain of delegations. */
const MAX_ENCODED = 32 * 1024;

const ttlSchema = z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS);

const agentSchema = z.strictObject({
  id: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema,
  scopes: scopesSchema,
  owner: principalSchema.optional(),
  ttlSeconds: ttlSchema,
});
const approverSchema = z.strictObject({
  id: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema.min(1),
  ttlSeconds: ttlSchema,
});

export interface AgentOptions {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** What it may name, as in `Agent`: `crm`, `crm:get_*`, `*`. At least one. */
  readonly scopes: readonly string[];
  /** The id of the person who answers for it; may neither approve nor resolve its actions. */
  readonly owner?: string | undefined;
  /** Default 90 days; at most 3650 days. */
  readonly ttlSeconds?: number | undefined;
}

export interface ApproverOptions {
  readonly id: string;
  readonly tenant: string;
  /** At least one. */
  readonly roles: readonly string[];
  /** Default 90 days; at most 3650 days. */
  readonly ttlSeconds?: number | undefined;
}

/** @throws CountersignError CONFIG_INVALID naming the field, or KEYS_MISSING without a private issuer key */
export async function issueAgent(keyring: Keyring, options: AgentOptions, now = new Date()): Promise<Credential> {
  const { id, tenant, roles, scopes, owner, ttlSeconds } = checked(agentSchema, options);
  const claims = { tenant, roles: unique(roles), scopes: unique(scopes), ...(owner === undefined ? {} : { owner }) };
  const who = { sub: id, jti: randomUUID(), ...claims };
  return issue(signingKey(keyring, 'issuer'), 'agent', who, ttlSeconds, now);
}

/** @throws CountersignError CONFIG_INVALID naming the field, or KEYS_MISSING without a private issuer key */
export async function issueApprover(keyring: Keyring, options: ApproverOptions, now = new Date()): Promise<Credential> {
  const { id, tenant, roles, ttlSeconds } = checked(approverSchema, options);
  const who = { sub: id, jti: randomUUID(), tenant, roles: unique(roles) };
  return issue(signingKey(keyring, 'issuer'), 'approver', who, ttlSeconds, now);
}

/** A credential with a new key, over the signature of whoever says so. */
export async function issue(
  signer: SigningKey,
  kind: CredentialKind,
  who: { readonly sub: string; readonly jti: string } & object,
  ttlSeconds: number,
  now: Date,
): Promise<Credential> {
  const privateJwk = await generateKey();
  const iat = seconds(now);
  const { kty, crv, x } = privateJwk;
  const claims = {
    ...who,
    iss: 'countersign',
    aud: 'countersign',
    iat,
    exp: iat + ttlSeconds,
    cnf: { jwk: { kty, crv, x } },
  };
  const token = await signToken(kind, claims, signer.key, signer.kid);
  if (token.length > MAX_CREDENTIAL_BYTES) {
    throw new CountersignError('CONFIG_INVALID', `The credential would be longer than ${MAX_CREDENTIAL_BYTES} bytes.`, {
      field: 'scopes',
      expected: 'fewer or shorter roles and scopes',
      fix: 'Use the scope "*", or issue several credentials.',
    });
  }
  return { kind, token, privateJwk };
}

export function checked<S extends z.ZodType>(schema: S, options: unknown): z.infer<S> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CountersignError(
    'CONFIG_INVALID',
    `The credential cannot be issued: ${describeShapeError(parsed.error)}.`,
    {
      field: issue?.path.join('.') || 'credential',
      expected: issue?.message ?? 'an id, a tenant and roles',
      fix: 'Ids and tenants are short plain names; roles and scopes are lists of names.',
      cause: parsed.error,
    },
  );
}

export function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/** One line of text that fits an environment variable: `csk_` and base64url. As secret as the private key in it. */
export function encodeCredential({ kind, token, delegations, privateJwk }: Credential): string {
  const chain = delegations === undefined ? {} : { delegations };
  return PREFIX + Buffer.from(canonical({ kind, token, ...chain, privateJwk })).toString('base64url');
}

const credentialSchema = z.strictObject({
  kind: z.enum(['agent', 'approver']),
  token: z.string().max(MAX_CREDENTIAL_BYTES),
  delegations: chainSchema.optional(),
  privateJwk: privateJwkSchema,
});

/** @throws CountersignError KEYS_INVALID, which never holds any of the text */
export function decodeCredential(text: string): Credential {
  if (text.length > MAX_ENCODED || !/^csk_[A-Za-z0-9_-]+$/.test(text)) throw unreadable();
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString('utf8'));
  } catch {
    // The cause is left out: it quotes the text, which holds a private key.
    throw unreadable();
  }
  const parsed = credentialSchema.safeParse(value);
  if (!parsed.success) throw unreadable();
  const { keys } = readEffectiveCredential(parsed.data, unreadable);
  if (keys.at(-1) !== parsed.data.privateJwk.x) {
    throw keysInvalid("The credential's key is not the one that its issuer attests.", {
      field: 'credential.privateJwk',
      expected: 'the private key of the token beside it',
      fix: 'Copy the credential again, whole, as it was issued.',
    });
  }
  return parsed.data;
}

/**
 * Reads a credential given as its text, or as the path of a file that holds the text.
 *
 * @throws CountersignError KEYS_MISSING when it is neither; KEYS_INVALID when it cannot be used
 */
export async function readCredential(textOrPath: string): Promise<Credential> {
  const given = textOrPath.trim();
  if (given.startsWith(PREFIX)) return decodeCredential(given);
  let text: string;
  try {
    text = await readFile(given, 'utf8');
  } catch {
    // It may be a mangled credential: it is repeated only when it can be nothing but a path.
    const path = given.length <= 200 && /^[\w@.~-]*[./\\][\w@./\\ ~:-]*$/.test(given) ? ` at ${given}` : '';
    throw new CountersignError('KEYS_MISSING', `There is no credential${path}.`, {
      field: 'credential',
      expected: 'a text that begins with csk_, or the path of a readable file that holds one',
      fix: 'Check the path, or copy the credential again as it was issued.',
    });
  }
  return decodeCredential(text.trim());
}

/** What a credential says of its holder. An approver has no scopes. */
export interface CredentialView extends Agent {
  readonly kind: CredentialKind;
  /** What it and those above it may spend. */
  readonly caps?: readonly DelegationCap[];
  readonly expiresAt: Date;
  /** By which it can be revoked. */
  readonly jti: string;
}

/**
 * What a credential says, unverified: for its holder's own side (which tenant am I?), never for a decision.
 *
 * @throws CountersignError KEYS_INVALID
 */
export function peekCredential(credential: Pick<Credential, 'kind' | 'token' | 'delegations'>): CredentialView {
  const effective = readEffectiveCredential(credential, unreadable);
  const { caps, exp, credentials } = effective;
  return {
    kind: credential.kind,
    ...agentOf(effective),
    ...(caps.length === 0 ? {} : { caps }),
    expiresAt: new Date(exp * 1000),
    jti: credentials.at(-1) as string,
  };
}

export function unreadable(): CountersignError {
  return keysInvalid('The credential cannot be read.', {
    field: 'credential',
    expected: 'a text that begins with csk_, as it was issued',
    fix: 'Copy the credential again, whole and without quotes.',
  });
}
