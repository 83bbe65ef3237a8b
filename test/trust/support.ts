/** Keys, times and forgeries for the tests of trust. */
import { createHmac, createPrivateKey, sign } from 'node:crypto';
import { expect } from 'vitest';
import { CountersignError, type ErrorCode } from '../../src/action/errors.js';
import type { GrantClaims } from '../../src/action/grant.js';
import { digestText, type Digest } from '../../src/action/json.js';
import type { Ed25519Jwk } from '../../src/trust/ed25519.js';
import { assertGrantInTime, openGrant } from '../../src/trust/grants.js';
import { generateKeyringFile, parseKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';

/** As `execute` does it: what was signed, and whether it is valid then. */
export async function verifyGrant(
  keyring: Keyring,
  token: string,
  { now }: { readonly now: Date },
): Promise<GrantClaims> {
  const claims = await openGrant(keyring, token);
  assertGrantInTime(claims, now);
  return claims;
}

export const NOW = new Date('2026-03-01T12:00:00Z');
export const IAT = NOW.getTime() / 1000;

export function later(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

export function digestOf(text: string): Digest {
  return digestText(text);
}

export async function newKeys(): Promise<{ keyring: Keyring; file: KeyringFile }> {
  const file = await generateKeyringFile();
  return { keyring: await parseKeyring(JSON.stringify(file), 'keys'), file };
}

export function firstKey(file: KeyringFile, role: keyof KeyringFile): Ed25519Jwk & { d: string; kid: string } {
  const key = file[role]?.[0];
  if (key?.d === undefined || key.kid === undefined) throw new Error(`no private ${role} key`);
  return { ...key, d: key.d, kid: key.kid };
}

export function publicPart(jwk: Ed25519Jwk): Ed25519Jwk {
  const { d: _, ...rest } = jwk;
  return rest;
}

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A JWS with any header and payload, signed with any Ed25519 key: what an attacker who has that key can make. */
export function forge(header: unknown, payload: unknown, key: { x: string; d: string }): string {
  const input = `${part(header)}.${part(payload)}`;
  const privateKey = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.x, d: key.d }, format: 'jwk' });
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
}

/** A JWS whose signature is an HMAC: padded to the length of an Ed25519 signature when `bits` is 512. */
export function forgeHmac(header: unknown, payload: unknown, secret: Buffer, bits: 256 | 512): string {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${createHmac(`sha${bits}`, secret).update(input).digest('base64url')}`;
}

export function forgeUnsigned(header: unknown, payload: unknown, signature = ''): string {
  return `${part(header)}.${part(payload)}.${signature}`;
}

export interface Opened {
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
}

export function openUnverified(token: string): Opened {
  const [header, payload] = token.split('.').map((text) => Buffer.from(text, 'base64url').toString());
  return { header: JSON.parse(header ?? ''), payload: JSON.parse(payload ?? '') };
}

/** Waits for the refusal and checks that it is complete: one of our errors, a code, and a message without any of the secrets. */
export async function refusal(
  attempt: Promise<unknown>,
  code: ErrorCode,
  secrets: readonly string[] = [],
): Promise<CountersignError> {
  const error = await attempt.then(
    (value) => {
      throw new Error(`accepted: ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof CountersignError)) throw error;
  expectWhole(error, code, secrets);
  return error;
}

export function thrown(attempt: () => unknown, code: ErrorCode, secrets: readonly string[] = []): CountersignError {
  let error: unknown;
  try {
    attempt();
  } catch (caught) {
    error = caught;
  }
  if (!(error instanceof CountersignError)) throw new Error(`not refused: ${String(error)}`);
  expectWhole(error, code, secrets);
  return error;
}

/** A refusal names its code and what it is about. A fault of our own has no field that anybody could correct. */
function expectWhole(error: CountersignError, code: ErrorCode, secrets: readonly string[]): void {
  expect(error.code).toBe(code);
  if (code !== 'INTERNAL') expect(error.field).toBeTruthy();
  expectNoSecret(error, secrets);
}

function expectNoSecret(error: CountersignError, secrets: readonly string[]): void {
  let said = '';
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    said += `${JSON.stringify(at)}\n${at.message}\n${at.stack}\n`;
    said += JSON.stringify(
      Object.getOwnPropertyNames(at).map((name) => (at as unknown as Record<string, unknown>)[name]),
    );
  }
  for (const secret of secrets) expect(said).not.toContain(secret);
}
