/** Whom recorded values are about, and the keys of their own under which they are digested and encrypted. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { CountersignError } from '../action/errors.js';
import { canonical, type Json, type JsonObject } from '../action/json.js';
import { at, tokensOf } from '../tools/http/pointer.js';
import { ENCRYPTED, KEY_ID, type EncryptingCodec } from './payload-codec.js';
import type { PayloadKeys } from './payload-keys.js';
import type { RedactionRules } from './redaction-rules.js';

/** The first that a pointer of the rules leads to, as text. Undefined where none leads to a text or number. */
export function subjectIn(input: JsonObject, { subject = [] }: RedactionRules): string | undefined {
  const found = subject.map((pointer) => at(input, tokensOf(pointer)));
  const scalar = found.find((value) => typeof value === 'string' || typeof value === 'number');
  return scalar === undefined ? undefined : String(scalar);
}

export function newKey(): Json {
  return randomBytes(32).toString('base64url');
}

/** 32 bytes in base64url. */
const KEY_CHARACTERS = 43;

/** A key of one subject, as a set that holds nothing else. @throws CountersignError PAYLOAD_INVALID */
export function subjectKeys(id: string, key: Json): PayloadKeys {
  if (typeof key !== 'string' || key.length !== KEY_CHARACTERS) {
    throw new CountersignError('PAYLOAD_INVALID', 'The key of a subject in the ledger is none.', { field: 'subject' });
  }
  const secret = createSecretKey(Buffer.from(key, 'base64url'));
  return { current: { id, key: secret }, byId: new Map([[id, secret]]) };
}

export async function seal(state: Json, codec: EncryptingCodec): Promise<Json> {
  const [{ metadata, data } = {}] = await codec.encode([{ data: Buffer.from(canonical(state)) }]);
  return {
    key: Buffer.from(metadata?.[KEY_ID] ?? []).toString(),
    encrypted: Buffer.from(data ?? []).toString('base64'),
  };
}

/** @throws CountersignError PAYLOAD_KEY_UNKNOWN, PAYLOAD_INVALID */
export async function unseal(sealed: Json, codec: EncryptingCodec): Promise<Json> {
  const { encrypted = '' } = sealed as { readonly encrypted?: string };
  const metadata = { encoding: Buffer.from(ENCRYPTED), [KEY_ID]: Buffer.from(keyOf(sealed)) };
  const [payload] = await codec.decode([{ metadata, data: Buffer.from(encrypted, 'base64') }]);
  return JSON.parse(Buffer.from(payload?.data ?? []).toString()) as Json;
}

/** Under which key it is. */
export function keyOf(sealed: Json): string {
  const { key } = sealed as { readonly key?: unknown };
  return typeof key === 'string' ? key : '';
}
