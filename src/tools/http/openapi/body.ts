/** The body of an operation's request: the media type that the tool sends, its schema, and how the fields of a form are written. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { FieldStyle } from '../fields.js';
import { FORM, isJsonType, MULTIPART, type BodyFieldStyle } from '../request-body.js';
import { follow, isObject, member, type OpenApiDocument } from './document.js';
import { leaveOut, type OperationImport } from './import.js';
import { isBinary, schemaOf } from './schema.js';
import { kindsOf, propertiesOf, styleOf } from './styles.js';

export interface ImportedBody {
  readonly body?: JsonObject;
  readonly bodyOptional?: boolean;
  readonly bodyType?: string;
  readonly bodyStyles?: Readonly<Record<string, BodyFieldStyle>>;
}

/** The first of these that is described is sent, when the operator names none. */
const PREFERRED: readonly ((type: string) => boolean)[] = [
  (type) => type === 'application/json',
  (type) => type === 'application/merge-patch+json',
  isJsonType,
  (type) => type === FORM,
  (type) => type === MULTIPART,
  (type) => type.startsWith('text/'),
  (type) => !type.includes('*'),
  (type) => type === '*/*' || type === 'application/*',
];

/** @throws CountersignError CONFIG_INVALID */
export function bodyOf(operation: OperationImport): ImportedBody {
  const { document, located, id } = operation;
  const node = located.operation['requestBody'];
  if (node === undefined) return {};
  const requestBody = follow(document, node, `${id}.requestBody`);
  const required = requestBody['required'] === true;
  if (located.method === 'GET' || located.method === 'HEAD') {
    leaveOut(operation, 'requestBody', required, `for ${located.method}`, 'a method whose requests have a body');
    return {};
  }
  const chosen = chosenContent(operation, requestBody['content']);
  const format = chosen === undefined ? undefined : formatOf(operation, chosen.type, chosen.media);
  if (chosen === undefined || format === undefined) {
    const problem = `as ${typesIn(requestBody['content']).slice(0, 200) || 'nothing'}`;
    leaveOut(operation, 'requestBody', required, problem, 'JSON, a form, a multipart form, or a text or bytes');
    return {};
  }
  const optional = required ? {} : { bodyOptional: true };
  return { ...format, ...optional, ...(chosen.type === 'application/json' ? {} : { bodyType: chosen.type }) };
}

function chosenContent(
  { bodyType }: OperationImport,
  content: Json | undefined,
): { readonly type: string; readonly media: Json } | undefined {
  const described = (isObject(content) ? Object.entries(content) : []).map(([type, media]) => ({
    type: (type.split(';')[0] ?? '').trim().toLowerCase(),
    media,
  }));
  if (bodyType !== undefined) return described.find(({ type }) => type === bodyType.toLowerCase());
  const rank = PREFERRED.find((prefers) => described.some(({ type }) => prefers(type)));
  const found = rank === undefined ? undefined : described.find(({ type }) => rank(type));
  return found?.type.includes('*') === true ? { ...found, type: 'application/json' } : found;
}

/** The schema and the styles of a body; undefined when the tool cannot write it. */
function formatOf(
  { document, id }: OperationImport,
  type: string,
  media: Json,
): Pick<ImportedBody, 'body' | 'bodyStyles'> | undefined {
  const field = `${id}.requestBody`;
  const schema = member(media, 'schema') ?? {};
  if (isJsonType(type)) return { body: schemaOf(document, schema, 'request', field) };
  if (type === FORM || type === MULTIPART) {
    const bodyStyles = fieldStyles(document, schema, member(media, 'encoding'), type);
    return { body: schemaOf(document, schema, type === MULTIPART ? 'multipart' : 'request', field), bodyStyles };
  }
  const kinds = kindsOf(document, schema);
  if (kinds.has('object') || kinds.has('list')) return undefined;
  const isText = type.startsWith('text/') && !isBinary(schema);
  return { body: isText ? schemaOf(document, schema, 'request', field) : TEXT_OR_BYTES };
}

const TEXT_OR_BYTES: JsonObject = {
  anyOf: [
    { type: 'string' },
    { type: 'object', properties: { base64: { type: 'string' } }, required: ['base64'], additionalProperties: false },
  ],
};

function fieldStyles(
  document: OpenApiDocument,
  schema: Json,
  encoding: Json | undefined,
  type: string,
): Readonly<Record<string, BodyFieldStyle>> {
  const styles = [...propertiesOf(document, schema)].flatMap(([name, property]): [string, BodyFieldStyle][] => {
    const style = fieldStyle(document, property, member(encoding, name), type);
    return style === undefined && /[[\]]/.test(name) ? [[name, 'repeat']] : style === undefined ? [] : [[name, style]];
  });
  return Object.fromEntries(styles);
}

function fieldStyle(
  document: OpenApiDocument,
  property: Json,
  encoding: Json | undefined,
  type: string,
): BodyFieldStyle | undefined {
  if (type === MULTIPART && isFile(document, property)) return 'file';
  const declared = declaredStyle(encoding);
  if (declared !== undefined) return declared;
  const kinds = kindsOf(document, property);
  // Without a style, an object is JSON, and so is each object of a list (OpenAPI 3.1.1, Encoding Object).
  if (kinds.has('object') && kinds.size === 1) return 'json';
  return kinds.has('list') && kinds.size === 1 && kindsOf(document, itemsOf(document, property)).has('object')
    ? 'form'
    : undefined;
}

function declaredStyle(encoding: Json | undefined): FieldStyle | undefined {
  if (!isObject(encoding)) return undefined;
  const { contentType, style, explode } = encoding;
  if (style !== undefined || explode !== undefined) return styleOf(encoding);
  return typeof contentType === 'string' && isJsonType(contentType) ? 'json' : undefined;
}

function isFile(document: OpenApiDocument, property: Json): boolean {
  return isBinary(follow(document, property, 'schema')) || isBinary(itemsOf(document, property));
}

function itemsOf(document: OpenApiDocument, property: Json): JsonObject | undefined {
  const { items } = follow(document, property, 'schema');
  return items === undefined ? undefined : follow(document, items, 'schema');
}

function typesIn(content: Json | undefined): string {
  return isObject(content) ? Object.keys(content).join(', ') : '';
}
