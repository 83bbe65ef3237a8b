/** Encodes the body of a request by its media type: JSON, a form, a multipart form, or a text or file as it is. */
import type { Json, JsonObject } from '../../action/json.js';
import { fieldsOf, UnwritableField, type FieldStyle } from './fields.js';
import { filePart, rawContent, shownFile } from './file-content.js';
import { encodeMultipart, type EncodedBody, type Part } from './multipart.js';

/** The style of a field of a form. `file` is for multipart bodies: `{filename, contentType, text or base64}`, or a list of them. */
export type BodyFieldStyle = FieldStyle | 'file';

export interface BodyFormat {
  readonly type: string;
  readonly styles: Readonly<Record<string, BodyFieldStyle>>;
}

export const FORM = 'application/x-www-form-urlencoded';
export const MULTIPART = 'multipart/form-data';

export function isJsonType(type: string): boolean {
  return /^application\/(.+\+)?json$/i.test(type);
}

/** Whether the body holds the fields of the object that a PUT or PATCH replaces, so that they can be read back. */
export function holdsFields({ type }: BodyFormat): boolean {
  return type === 'application/json' || type === 'application/merge-patch+json' || type === FORM;
}

/** @throws UnwritableField when the body cannot be written in its format */
export function encodeBody(body: Json, { type, styles }: BodyFormat): EncodedBody {
  if (isJsonType(type)) return { contentType: type, bytes: JSON.stringify(body) };
  if (type === FORM) {
    const fields = fieldsOf(fieldsIn(body), styles as Readonly<Record<string, FieldStyle>>, 'repeat');
    return {
      contentType: FORM,
      bytes: new URLSearchParams(fields.map(([name, text]): [string, string] => [name, text])).toString(),
    };
  }
  if (type === MULTIPART) return encodeMultipart(partsOf(fieldsIn(body), styles));
  return { contentType: type, bytes: rawContent(body) };
}

/** The body as people see it: files by their size and digest. */
export function shownBody(body: Json, { type, styles }: BodyFormat): Json {
  if (isJsonType(type) || type === FORM) return body;
  if (type !== MULTIPART) return shownFile(body);
  return Object.fromEntries(
    Object.entries(fieldsIn(body)).map(([name, value]) => [
      name,
      kindOf(styles, name) === 'file' ? listOf(value).map(shownFile) : value,
    ]),
  );
}

/** Files come last, so that a server that reads the form as a stream knows the fields by then. */
function partsOf(body: JsonObject, styles: BodyFormat['styles']): readonly Part[] {
  const members = (kind: 'field' | 'json' | 'file'): readonly (readonly [string, Json])[] =>
    Object.entries(body).filter(([name]) => kindOf(styles, name) === kind);
  const fields = fieldsOf(
    Object.fromEntries(members('field')),
    styles as Readonly<Record<string, FieldStyle>>,
    'repeat',
  );
  const taken = fields.find(([name]) => Object.hasOwn(body, name) && kindOf(styles, name) !== 'field');
  if (taken !== undefined) throw new UnwritableField([taken[0]], 'is written by two fields');
  return [
    ...fields.map(([name, content]) => ({ name, content })),
    ...members('json').map(([name, value]) => ({
      name,
      content: JSON.stringify(value),
      contentType: 'application/json',
    })),
    ...members('file').flatMap(([name, value]) =>
      listOf(value).map((file, index) => filePart(name, Array.isArray(value) ? [name, String(index)] : [name], file)),
    ),
  ];
}

function kindOf(styles: BodyFormat['styles'], name: string): 'field' | 'json' | 'file' {
  const style = Object.hasOwn(styles, name) ? styles[name] : undefined;
  return style === 'json' || style === 'file' ? style : 'field';
}

function listOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
}

function fieldsIn(body: Json): JsonObject {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as JsonObject;
  throw new UnwritableField([], 'must be an object: its members are the fields');
}
