/** Where a service takes the idempotency key, and in which form: a header or a member of the body, quoted, plain, a UUID or a hash. */
import { createHash } from 'node:crypto';
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { isReservedHeader } from './headers.js';
import type { IdempotencyKeyOptions } from './options.js';
import { at, isPointer, tokensOf } from './pointer.js';

/** The key of one action, as a service gets it. */
export interface KeyPlace {
  /** In lower case; undefined when the key goes into the body. */
  readonly header: string | undefined;
  /** The tokens of the pointer into the body. */
  readonly body: readonly string[] | undefined;
  readonly format: NonNullable<IdempotencyKeyOptions['format']>;
}

const SOURCE = "the tool's config";
const FORMATS = ['quoted', 'plain', 'uuid', 'sha256'] as const;
/** The namespace of URLs (RFC 9562, section 6.6): the name, `countersign:<tenant>/<actionId>`, is a URI. */
const URL_NAMESPACE = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex');

/** The parts of an input that can carry a key. */
interface Parts {
  readonly headers?: JsonObject | undefined;
  readonly body?: Json | undefined;
}

/** Checks where the key goes. `headers`: the names of the headers that the config sets. @throws CountersignError CONFIG_INVALID */
export function keyPlaceOf(declared: IdempotencyKeyOptions = {}, headers: readonly string[] = []): KeyPlace {
  const { header, body } = declared;
  for (const name of Object.keys(declared)) {
    if (!['header', 'body', 'format'].includes(name)) throw invalid(name, 'left out: it is not known');
  }
  const format = declared.format ?? (body === undefined ? 'quoted' : 'plain');
  if (!FORMATS.includes(format)) throw invalid('format', `one of: ${FORMATS.join(', ')}`);
  if (body === undefined) {
    const name = (header ?? 'idempotency-key').toLowerCase();
    if (name !== 'idempotency-key' && isReservedHeader(name)) throw invalid('header', 'a header that is for a key');
    if (headers.some((other) => other.toLowerCase() === name))
      throw invalid('header', 'no header that the config sets');
    return { header: name, body: undefined, format };
  }
  if (header !== undefined) throw invalid('body', 'left out where header is given: the key has one place');
  if (!isPointer(body) || body === '') throw invalid('body', 'a JSON pointer to a member, such as /idempotency_key');
  if (format === 'quoted') throw invalid('format', 'plain, uuid or sha256: quotes are for headers');
  return { header: undefined, body: tokensOf(body), format };
}

/** The key as the service knows it: what a look-up asks for. @throws CountersignError INVALID_INPUT */
export function keyValue(key: string, { format }: KeyPlace): string {
  if (format === 'uuid') return uuidOf(key);
  if (format === 'sha256') return createHash('sha256').update(key).digest('hex');
  if (/^[\x20-\x7e]*$/.test(key)) return key;
  throw new CountersignError('INVALID_INPUT', 'The idempotency key is not ASCII.', { field: 'actionId' });
}

/** The header with the key, if a header carries it. */
export function keyHeader(key: string, place: KeyPlace): Readonly<Record<string, string>> {
  if (place.header === undefined) return {};
  const value = keyValue(key, place);
  return { [place.header]: place.format === 'quoted' ? quoted(value) : value };
}

/** The body with the key, if the body carries it. */
export function withKey(body: Json | undefined, key: string, place: KeyPlace): Json | undefined {
  return place.body === undefined ? body : put(body, place.body, keyValue(key, place));
}

/** Whether an input sets the key itself, which is not for an agent to do. */
export function setsKey({ headers = {}, body }: Parts, place: KeyPlace): boolean {
  if (place.header !== undefined) return Object.hasOwn(headers, place.header);
  return at(body, place.body ?? []) !== undefined;
}

/** Puts a value into a copy of the body. Where a member on the way is not an object, the body has no place for the key. */
function put(body: Json | undefined, [token = '', ...rest]: readonly string[], value: string): Json {
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw new CountersignError('INVALID_INPUT', 'The body has no place for the idempotency key.', {
      field: 'proposal.input.body',
      expected: 'an object',
    });
  }
  const members = (body ?? {}) as Readonly<Record<string, Json>>;
  const inner = Object.hasOwn(members, token) ? members[token] : undefined;
  return { ...members, [token]: rest.length === 0 ? value : put(inner, rest, value) };
}

/** A structured field string (RFC 8941, section 3.3.3), as draft-ietf-httpapi-idempotency-key-header says. */
function quoted(key: string): string {
  return `"${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** A UUID of version 5 (RFC 9562, section 5.5): the same for the same key, whoever makes it. */
function uuidOf(name: string): string {
  const bytes = createHash('sha1').update(URL_NAMESPACE).update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function invalid(name: string, expected: string): CountersignError {
  return configInvalid(`idempotencyKey.${name}`, expected, SOURCE);
}
