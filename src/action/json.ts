/** JSON as Countersign carries it: checked, canonical (RFC 8785) and digested (SHA-256). */
import { createHash } from 'node:crypto';
import { configure } from 'safe-stable-stringify';
import { CountersignError } from './errors.js';

export type JsonPrimitive = string | number | boolean | null;
/** Any JSON value. Countersign carries less: no integers beyond ±(2^53-1), no NUL in texts, at most 64 levels (`assertJson`). */
export type Json = JsonPrimitive | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. It has no member that is undefined. */
export type JsonObject = { readonly [key: string]: Json };

/** `sha256:` and 64 hex digits. */
export type Digest = `sha256:${string}`;

/** How deep a value may nest. Deeper is refused, so that no recursion here or in a library can be driven to overflow. */
const MAX_DEPTH = 64;

/**
 * Checks that a value is plain JSON that survives every store and signature on its way: finite numbers, integers within
 * ±(2^53-1), well-formed Unicode without NUL, no cycles, no exotic objects, at most 64 levels.
 *
 * @throws CountersignError INVALID_NUMBER, INVALID_TEXT or INVALID_JSON, with the path of the offending value.
 */
export function assertJson(value: unknown, path: string): asserts value is Json {
  visit(value, path, 0);
}

function visit(value: unknown, path: string, depth: number): void {
  if (depth > MAX_DEPTH) {
    throw new CountersignError('INVALID_JSON', `${path} nests deeper than ${MAX_DEPTH} levels`, {
      field: path,
      expected: `at most ${MAX_DEPTH} levels`,
      fix: 'Flatten the value.',
    });
  }
  switch (typeof value) {
    case 'boolean':
      return;
    case 'string':
      return checkText(value, path);
    case 'number':
      return checkNumber(value, path);
    case 'object':
      break;
    default:
      throw notJson(value, path);
  }
  if (value === null) return;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) visit(value[i], `${path}[${i}]`, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw notJson(value, path);
  for (const [key, item] of Object.entries(value)) {
    checkText(key, `${path} (a key)`);
    if (key === '__proto__') {
      throw new CountersignError('INVALID_JSON', `${path} has a key "__proto__"`, {
        field: path,
        expected: 'a key that is not "__proto__"',
        fix: 'Rename the key.',
      });
    }
    visit(item, `${path}.${key}`, depth + 1);
  }
}

function checkText(text: string, path: string): void {
  if (text.includes('\u0000') || !text.isWellFormed()) {
    throw new CountersignError('INVALID_TEXT', `${path} holds a NUL byte or a lone surrogate`, {
      field: path,
      expected: 'well-formed Unicode text without NUL',
      fix: 'Remove the character, or encode the bytes as base64.',
    });
  }
}

function checkNumber(number: number, path: string): void {
  if (Number.isFinite(number) && (!Number.isInteger(number) || Math.abs(number) <= Number.MAX_SAFE_INTEGER)) return;
  throw new CountersignError('INVALID_NUMBER', `${path} is a number that JSON cannot carry exactly`, {
    field: path,
    expected: 'a finite number; integers within ±(2^53-1)',
    fix: 'Send large or exact numbers as strings.',
  });
}

function notJson(value: unknown, path: string): CountersignError {
  const what = typeof value === 'object' ? 'an object that is not plain' : typeof value;
  return new CountersignError('INVALID_JSON', `${path} is ${what}, not JSON`, {
    field: path,
    expected: 'a string, number, boolean, null, array or plain object',
    fix: 'Leave the key out, or convert the value to one of these.',
  });
}

/** Keys in the order of their UTF-16 code units, numbers and strings as `JSON.stringify` writes them: the text of RFC 8785. */
const stringify = configure({ strict: true });

/** A lone surrogate as `JSON.stringify` escapes it: an odd number of backslashes before it. */
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

/**
 * The canonical text of a JSON value (RFC 8785). Two equal values have one text.
 *
 * @throws CountersignError INVALID_JSON for what is no JSON, and for a lone surrogate
 */
export function canonical(value: unknown): string {
  const text = textOf(value);
  if (text === undefined || LONE_SURROGATE.test(text)) throw noCanonicalForm();
  return text;
}

function textOf(value: unknown): string | undefined {
  try {
    return stringify(value);
  } catch (thrown) {
    throw noCanonicalForm(thrown);
  }
}

function noCanonicalForm(cause?: unknown): CountersignError {
  return new CountersignError('INVALID_JSON', 'The value has no canonical form.', { cause });
}

/** SHA-256 over the canonical text. */
export function digest(value: unknown): Digest {
  return digestText(canonical(value));
}

/** SHA-256 over a text's UTF-8 bytes. */
export function digestText(text: string): Digest {
  return `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}

/** Bytes of the canonical text. */
export function canonicalBytes(value: unknown): number {
  return Buffer.byteLength(canonical(value), 'utf8');
}

/** The object without the keys whose value is undefined: JSON has no such thing. */
export function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;
}
