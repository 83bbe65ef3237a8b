/**
 * Values between PostgreSQL's text form and JSON, exactly: what a JSON number cannot carry (bigint, numeric, NaN) is a string, and
 * every value put back gives the same value again.
 */
import pg from 'pg';
import type { Json } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import { parseJson } from '../../action/parse.js';

/** Type oids of pg_type that have a form of their own in JSON; all others are their text. */
const BOOL = 16;
const SMALL_NUMBERS: ReadonlySet<number> = new Set([21, 23, 26]);
const FLOATS: ReadonlySet<number> = new Set([700, 701]);
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802]);
const TEXT_ARRAY = 1009;
/** The server's own objects have smaller oids. */
export const FIRST_USER_OID = 16_384;

/** Levels of a JSON document that are carried as JSON; leaves room for the state around it. */
const MAX_JSON_DEPTH = 48;

/** What is needed to read and write values of a column. */
export interface ValueType {
  /** The type's oid; of a domain, its base type's. */
  readonly oid: number;
  /** For an array: its elements' type (a domain's base type). */
  readonly element?: number | undefined;
}

/** Whether the type may be an array type that the map was loaded too early to know. */
export function isUnknownType(oid: number, known: ReadonlySet<number>): boolean {
  return oid >= FIRST_USER_OID && !known.has(oid);
}

function isJsonType(oid: number): boolean {
  return JSON_TYPES.has(oid);
}

/** PostgreSQL's text form as JSON. Needs the session's DateStyle ISO, TimeZone UTC and bytea_output hex. */
export function fromPostgres(text: string | null, type: ValueType): Json {
  if (text === null) return null;
  if (type.element !== undefined) return arrayFromPostgres(text, { oid: type.element });
  if (type.oid === BOOL) return text === 't';
  if (SMALL_NUMBERS.has(type.oid)) return Number(text);
  if (FLOATS.has(type.oid)) return float(text);
  if (type.oid === TIMESTAMP || type.oid === TIMESTAMPTZ) return timestamp(text);
  if (JSON_TYPES.has(type.oid)) return json(text);
  return text;
}

function float(text: string): Json {
  const number = Number(text);
  const carried = Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return carried && !Object.is(number, -0) ? number : text;
}

/** `2024-05-01 10:00:00.5+00` as `2024-05-01T10:00:00.5Z`; infinity and years BC stay as they are. */
function timestamp(text: string): string {
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}${match[3] === undefined ? '' : 'Z'}`;
}

/** JSON as JSON; what JSON numbers or our limits cannot carry, and JSON's own null, as `{"$json": text}`. */
function json(text: string): Json {
  const asText = { $json: text };
  let value: Json;
  try {
    value = parseJson(text, 'value');
  } catch {
    return asText;
  }
  if (value === null || depth(value) > MAX_JSON_DEPTH) return asText;
  return typeof value === 'object' && Object.hasOwn(value, '$json') ? asText : value;
}

function depth(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map((item: Json) => depth(item)));
}

type Nested = string | null | readonly Nested[];

function arrayFromPostgres(text: string, element: ValueType): Json {
  // Bounds of its own, which a JSON array cannot carry.
  if (text.startsWith('[')) return text;
  const parse = pg.types.getTypeParser(TEXT_ARRAY as never, 'text') as (text: string) => readonly Nested[];
  const convert = (item: Nested): Json =>
    Array.isArray(item) ? item.map((inner: Nested) => convert(inner)) : fromPostgres(item as string | null, element);
  return convert(parse(text));
}

/** A parameter for pg: text, or an array of texts that pg writes as an array literal. */
export type Parameter = string | null | readonly Parameter[];

/**
 * JSON as a parameter for a column of this type.
 *
 * @throws CountersignError INVALID_INPUT when the value is an object or array and the column holds neither JSON nor arrays
 */
export function toPostgres(value: Json, type: ValueType, field: string): Parameter {
  if (value === null) return null;
  if (isJsonType(type.oid)) return jsonText(value);
  if (type.element !== undefined && Array.isArray(value)) return arrayToPostgres(value, { oid: type.element }, field);
  if (typeof value === 'object') {
    throw new CountersignError(
      'INVALID_INPUT',
      `${field} is ${Array.isArray(value) ? 'an array' : 'an object'}; the column holds neither.`,
      {
        field,
        expected: 'a string, number, boolean or null',
        fix: 'Send a single value.',
      },
    );
  }
  return String(value);
}

function arrayToPostgres(items: readonly Json[], element: ValueType, field: string): readonly Parameter[] {
  return items.map((item) =>
    Array.isArray(item) && !isJsonType(element.oid)
      ? arrayToPostgres(item, element, field)
      : toPostgres(item, element, field),
  );
}

function jsonText(value: Json): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const text = (value as { readonly [key: string]: Json })['$json'];
    if (typeof text === 'string' && Object.keys(value).length === 1) return text;
  }
  return JSON.stringify(value);
}

/** A parameter of raw SQL, whose type only the server knows: objects are JSON, arrays are arrays. */
export function looseParameter(value: Json): Parameter {
  if (Array.isArray(value)) return value.map((item: Json) => looseParameter(item));
  if (typeof value === 'object' && value !== null) return jsonText(value);
  return value === null ? null : String(value);
}

/**
 * What the column will hold when this value is stored, where that is plain without asking the server; undefined where it is not
 * (numeric's scale, timestamps' zones, padding …).
 */
export function storedForm(value: Json, type: ValueType, typmod: number): Json | undefined {
  if (value === null) return null;
  switch (type.oid) {
    case BOOL:
      return typeof value === 'boolean' ? value : undefined;
    case 21:
    case 23:
      return Number.isInteger(value) ? value : undefined;
    case 20:
      return typeof value === 'number' && Number.isInteger(value) ? String(value) : undefined;
    case 25:
      return typeof value === 'object' ? undefined : String(value);
    case 1043:
      return typmod === -1 && typeof value !== 'object' ? String(value) : undefined;
    default:
      return undefined;
  }
}
