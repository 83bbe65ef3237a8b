/**
 * Texts, numbers, times and JSON as the API takes them: each is checked and described in one place, so that the document allows what is
 * taken and nothing else. What JSON Schema counts in code points is counted so here.
 */
import { z } from '@hono/zod-openapi';
import { hasCharacters } from '../../action/characters.js';
import { MAX_REASON_LENGTH, REASON_EXPECTED, typedText } from '../../trust/claim-schemas.js';

/** Any text but one with NUL, which no database keeps. Lone surrogates are no Unicode text, and no JSON Schema can name them. */
const TEXT = String.raw`^[^\u0000]*$`;
/** Of what people wrote, which terminals show: no control character but tab and the ends of lines. */
const PRINTABLE = String.raw`^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$`;
/** Larger integers are not exact in JSON, and all larger numbers are integers. */
const EXACT = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER } as const;

const JSON_VALUE = '#/components/schemas/JsonValue';

/** Any JSON value that is carried exactly. */
export const jsonValueSchema = {
  description:
    'JSON that every store carries exactly: at most 64 levels deep, no NUL in texts, no integers beyond ±(2^53-1)',
  anyOf: [
    { type: 'null' },
    { type: 'boolean' },
    { type: 'number', ...EXACT },
    { type: 'string', pattern: TEXT },
    { type: 'array', items: { $ref: JSON_VALUE } },
    objectOf({ $ref: JSON_VALUE }),
  ],
} as const;

/** Names of any kind but the one that would change what objects are. */
function objectOf(values: object): { readonly type: 'object' } {
  const described = {
    type: 'object',
    propertyNames: { pattern: TEXT, not: { enum: ['__proto__'] } },
    additionalProperties: values,
  } as const;
  return described;
}

/** What the names of an object's members look like. */
export function namesOf(pattern: RegExp): object {
  return { propertyNames: { pattern: pattern.source } };
}

/** An object with any members, carried as it is. */
export function jsonObject(description: string) {
  return z.record(z.string(), z.unknown()).openapi({ ...objectOf({ $ref: JSON_VALUE }), description });
}

/** An object of which these members are known, and which may have others that nothing here reads. */
export function openObject<Shape extends z.ZodRawShape>(shape: Shape, description: string) {
  const { type: _generated, ...described } = objectOf({ $ref: JSON_VALUE });
  return z.looseObject(shape).openapi({ ...described, description });
}

interface TextBounds {
  readonly min?: number;
  readonly max: number;
  readonly description?: string;
}

export function textSchemaOf({ min = 0, max, description }: TextBounds) {
  return {
    type: 'string',
    ...(min === 0 ? {} : { minLength: min }),
    maxLength: max,
    pattern: TEXT,
    ...(description === undefined ? {} : { description }),
  } as const;
}

/** Text of so many characters. */
export function textOf(bounds: TextBounds) {
  const { min = 0, max } = bounds;
  return z
    .string()
    .refine((text) => hasCharacters(text, min, max) && text.isWellFormed() && !text.includes('\u0000'), {
      error: `${min === 0 ? `at most ${max}` : `${min} to ${max}`} characters of well-formed text without NUL`,
    })
    .openapi(textSchemaOf(bounds));
}

/** A person's reason, with the line feeds of its forms. */
export const reasonText = z
  .string()
  .refine(
    (text) => hasCharacters(text, 1, MAX_REASON_LENGTH) && text.isWellFormed() && new RegExp(PRINTABLE, 'u').test(text),
    {
      error: REASON_EXPECTED,
    },
  )
  .transform(typedText)
  .openapi({
    type: 'string',
    minLength: 1,
    maxLength: MAX_REASON_LENGTH,
    pattern: PRINTABLE,
    description: `Your reason: ${REASON_EXPECTED}`,
  });

/** A whole number from `min` on. */
export function wholeNumber(min: number) {
  return z
    .number()
    .int()
    .min(min)
    .max(Number.MAX_SAFE_INTEGER)
    .openapi({ type: 'integer', minimum: min, maximum: Number.MAX_SAFE_INTEGER });
}

/** An amount that is carried exactly. */
export const amount = z
  .number()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .openapi({ type: 'number', minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** RFC 3339, section 5.6, with any offset. */
const INSTANT =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** The times that Postgres and everything else here can name: beyond them nothing is different. */
const FIRST = Date.parse('0001-01-01T00:00:00.000Z');
const LAST = Date.parse('9999-12-31T23:59:59.999Z');

/** A time, in UTC from here on. */
export const instantText = z
  .string()
  .refine(isInstant, { error: 'a time of RFC 3339, such as 2026-05-01T12:00:00Z or 2026-05-01T14:00:00+02:00' })
  .transform(inUtc)
  .openapi({ type: 'string', format: 'date-time', description: 'RFC 3339, with any offset' });

function isInstant(text: string): boolean {
  const [, year = '', month = '', day = ''] = INSTANT.exec(text) ?? [];
  return year !== '' && Number(day) <= daysIn(Number(year), Number(month));
}

function daysIn(year: number, month: number): number {
  const date = new Date(0);
  // The first two digits of a year below 100 would be taken for 19.
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

/** A leap second is the last one that everybody has. */
function inUtc(text: string): string {
  const parts = INSTANT.exec(text);
  const [date = '', time = ''] = text.toUpperCase().split('T');
  const at = Date.parse(`${date}T${parts?.[5] === '60' ? time.replace(':60', ':59') : time}`);
  return new Date(Math.min(LAST, Math.max(FIRST, at))).toISOString();
}
