/**
 * Converts values exactly between PostgreSQL's text form and JSON. A value that a JSON number cannot represent (bigint, numeric, NaN) is a
 * string, and converting a value back gives the same value.
 */
import pg from 'pg';
import type { Json } from '../../action/json.js';
import { CountersignError } from '../../action/errors.js';
import { parseJson } from '../../action/parse.js';

/** The oids of the types in pg_type that have a form of their own in JSON. Values of all other types are text. */
const BOOL = 16;
const SMALL_NUMBERS: ReadonlySet<number> = new Set([21, 23, 26]);
const FLOATS: ReadonlySet<number> = new Set([700, 701]);
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802]);
const TEXT_ARRAY = 1009;
/** The first oid of user-defined objects. Built-in ones have smaller oids. */
export const FIRST_USER_OID = 16_384;

/** The deepest JSON document that is converted to JSON. It leaves room for the levels of the state around it. */
const MAX_JSON_DEPTH = 48;

/** The type information for reading and writing the values of a column. */
export interface ValueType {
  /** The oid of the type; for a domain, that of its base type. */
  readonly oid: number;
  /** For an array: the oid of the type of its elements; for a domain, that of its base type. */
  readonly element?: number | undefined;
}

/** Whether the type may be an array type that was created after the types were loaded. */
export function isUnknownType(oid: number, known: ReadonlySet<number>): boolean {
  return oid >= FIRST_USER_OID && !known.has(oid);
}

function isJsonType(oid: number): boolean {
  return JSON_TYPES.has(oid);
}

/** Converts PostgreSQL's text form to JSON. It needs the session's DateStyle ISO, TimeZone UTC and bytea_output hex. */
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

/** Converts `2024-05-01 10:00:00.5+00` to `2024-05-01T10:00:00.5Z`. Infinity and years BC stay unchanged. */
function timestamp(text: string): string {
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}${match[3] === undefined ? '' : 'Z'}`;
}

/** Parses JSON. JSON's null, and a document that would lose precision or exceeds our limits, becomes `{"$json": text}`. */
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
  // The array has explicit bounds, which a JSON array cannot represent.
  if (text.startsWith('[')) return text;
  const parse = pg.types.getTypeParser(TEXT_ARRAY as never, 'text') as (text: string) => readonly Nested[];
  const convert = (item: Nested): Json =>
    Array.isArray(item) ? item.map((inner: Nested) => convert(inner)) : fromPostgres(item as string | null, element);
  return convert(parse(text));
}

/** A parameter for pg: text, or an array of texts that pg writes as an array literal. */
export type Parameter = string | null | readonly Parameter[];

/**
 * Converts JSON to a parameter for a column of this type.
 *
 * @throws CountersignError INVALID_INPUT when the value is an object or array and the type of the column is neither JSON nor an array
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

/** Converts JSON to a parameter of raw SQL, whose type only the server knows: objects become JSON, arrays become arrays. */
export function looseParameter(value: Json): Parameter {
  if (Array.isArray(value)) return value.map((item: Json) => looseParameter(item));
  if (typeof value === 'object' && value !== null) return jsonText(value);
  return value === null ? null : String(value);
}

/**
 * The value that the column will have when this value is stored, if that is certain without a query; undefined otherwise (the scale of
 * numeric, time zones of timestamps, padding …).
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
