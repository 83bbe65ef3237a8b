/** Compact JWS (RFC 7515) as Countersign uses it: Ed25519 only, an exact header, one spelling of each signature, strict claims. */
import { z } from 'zod';
import { canonical } from '../action/json.js';
import type { PrivateKey, VerifyingKey } from './ed25519.js';
import { describeShapeError, type RefusalFactory } from './claim-schemas.js';

/** What a token is for (RFC 8725, 3.11): a token of one type never passes for another. */
export const TOKEN_TYPES = {
  agent: 'countersign-agent+jwt',
  approver: 'countersign-approver+jwt',
  delegation: 'countersign-delegation+jwt',
  proposal: 'countersign-proposal+jwt',
  approval: 'countersign-approval+jwt',
  grant: 'countersign-grant+jwt',
  receipt: 'countersign-receipt+jwt',
  command: 'countersign-command+jwt',
  compensation: 'countersign-compensation+jwt',
  policyChange: 'countersign-policy-change+jwt',
  checkpoint: 'countersign-checkpoint+jwt',
  finding: 'countersign-finding+jwt',
} as const;
export type TokenType = keyof typeof TOKEN_TYPES;

const ALGORITHM = 'EdDSA';

/**
 * 64 signature bytes are 86 characters of which the last carries two bits; decoders ignore the other four. Only the canonical
 * spelling is taken, because receipts, approvals and delegations are known by the hash of their text.
 */
const COMPACT = /^(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{85}[AQgw])$/;

/** No `crit`, `b64`, `jwk`, `jku` or `x5c`: nothing in a header may change how it is verified. */
const headerSchema = z.strictObject({ alg: z.string(), typ: z.string(), kid: z.string().optional() });

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How one type of token is read. */
export interface TokenForm<C> {
  readonly type: TokenType;
  /** Longer tokens are refused unparsed. */
  readonly maxBytes: number;
  /** Strict, and with `textSchema` for free text: nothing else checks them. */
  readonly claims: z.ZodType<C>;
  readonly refuse: RefusalFactory;
}

/**
 * Signs claims (RFC 7515, 5.1, with EdDSA as of RFC 8037). Equal claims and key give the same text (RFC 8785, and Ed25519 is
 * deterministic), so a retry signs no second token.
 */
export async function signToken(
  type: TokenType,
  claims: object,
  key: PrivateKey,
  kid: string | undefined,
): Promise<string> {
  const header = { alg: ALGORITHM, typ: TOKEN_TYPES[type], ...(kid === undefined ? {} : { kid }) };
  const signed = `${encode(JSON.stringify(header))}.${encode(canonical(claims))}`;
  return `${signed}.${key.sign(Buffer.from(signed)).toString('base64url')}`;
}

/** The id of the key that a token says signed it: what it is worth, `openIssued` tells. */
export function keyIdOf(token: string): string | undefined {
  const [head = ''] = token.split('.', 1);
  const header = headerSchema.safeParse(parse(head));
  return header.success ? header.data.kid : undefined;
}

/** Opens a token that one of `keys` (by key id) signed. @throws what `form.refuse` makes */
export async function openIssued<C>(
  token: unknown,
  form: TokenForm<C>,
  keys: ReadonlyMap<string, VerifyingKey>,
): Promise<C> {
  const { kid, payload, ...signed } = inspect(token, form);
  if (kid === undefined) throw form.refuse('The token does not name the key that signed it');
  const key = keys.get(kid);
  if (key === undefined) {
    throw form.refuse('The token is signed by a key that is not known here for this purpose', {
      expected: `a signature by one of ${keys.size} known keys`,
      fix: 'If the key was rotated, add its public part to the keys of this process.',
    });
  }
  checkSignature(signed, key, form.refuse);
  return readClaims(payload, form);
}

/**
 * Opens a token that a holder of a credential signed (proof of possession, RFC 7800). `holderOf` verifies the credential that the
 * claims name and returns who holds it.
 *
 * @throws what `form.refuse` or `holderOf` makes
 */
export async function openHeld<C, H extends { readonly key: VerifyingKey }>(
  token: unknown,
  form: TokenForm<C>,
  holderOf: (claims: C) => Promise<H>,
): Promise<{ readonly claims: C; readonly holder: H }> {
  const { kid, payload, ...signed } = inspect(token, form);
  if (kid !== undefined) throw form.refuse("The token names a key, where only its credential's key counts");
  const claims = readClaims(payload, form);
  const holder = await holderOf(claims);
  checkSignature(signed, holder.key, form.refuse);
  return { claims, holder };
}

interface Signed {
  /** Header and payload as they were signed. */
  readonly input: string;
  readonly signature: string;
}

function inspect(
  token: unknown,
  form: TokenForm<unknown>,
): Signed & { readonly kid: string | undefined; readonly payload: string } {
  const { refuse, maxBytes } = form;
  if (typeof token !== 'string' || token.length === 0) throw refuse('There is no token');
  if (token.length > maxBytes) {
    throw refuse(`The token is longer than ${maxBytes} bytes`, { expected: `at most ${maxBytes} bytes` });
  }
  const [, input, head, payload, signature] = COMPACT.exec(token) ?? [];
  if (input === undefined || head === undefined || payload === undefined || signature === undefined) {
    throw refuse('The token is not a compact JWS with an Ed25519 signature', { expected: 'header.payload.signature' });
  }
  const header = headerSchema.safeParse(parse(head));
  if (!header.success) throw refuse("The token's header has other members than alg, typ and kid, or lacks one");
  if (header.data.alg !== ALGORITHM) {
    throw refuse('The token is not signed with Ed25519', { expected: `alg ${ALGORITHM}` });
  }
  const expected = TOKEN_TYPES[form.type];
  if (header.data.typ !== expected) {
    const actual = Object.values<string>(TOKEN_TYPES).find((typ) => typ === header.data.typ) ?? 'of an unknown type';
    throw refuse(`The token is ${actual}, not ${expected}`, { expected: `typ ${expected}` });
  }
  return { input, signature, kid: header.data.kid, payload };
}

function checkSignature({ input, signature }: Signed, key: VerifyingKey, refuse: RefusalFactory): void {
  if (!key.verifies(Buffer.from(input), Buffer.from(signature, 'base64url')))
    throw refuse('The signature does not verify');
}

function readClaims<C>(payload: string, form: TokenForm<C>): C {
  const parsed = form.claims.safeParse(parse(payload));
  if (!parsed.success) throw form.refuse(describeShapeError(parsed.error));
  return parsed.data;
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Undefined, which no schema takes, when the part is not UTF-8 JSON in canonical base64url. */
function parse(part: string): unknown {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) return undefined;
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
}
