/** The parameters of an operation: the schemas of its path, query and headers, and how lists and objects in the query are written. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { FieldStyle } from '../fields.js';
import { headerProblem } from '../headers.js';
import { isJsonType } from '../request-body.js';
import type { Template } from '../template.js';
import { follow, isObject, listOf, quoted, unusable, type OpenApiDocument } from './document.js';
import { leaveOut, type Located, type OperationImport } from './import.js';
import { schemaOf } from './schema.js';
import { kindsOf, styleOf } from './styles.js';

export interface ImportedParameters {
  readonly path?: JsonObject;
  readonly query?: JsonObject;
  readonly headers?: JsonObject;
  readonly queryStyles: Readonly<Record<string, FieldStyle>>;
}

const PARTS = ['path', 'query', 'headers'] as const;
type Part = (typeof PARTS)[number];

interface Members {
  readonly properties: Map<string, Json>;
  readonly required: Set<string>;
}

/** Header parameters that OpenAPI describes elsewhere: in the content, and in the security. */
const DESCRIBED_ELSEWHERE: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization']);
const PLAIN_SEGMENT: JsonObject = { type: ['string', 'integer'], minLength: 1, maxLength: 256 };

/** @throws CountersignError CONFIG_INVALID */
export function parametersOf(operation: OperationImport, url: Template): ImportedParameters {
  const { document, id, located } = operation;
  const parts: Record<Part, Members> = { path: noMembers(), query: noMembers(), headers: noMembers() };
  const styles: [string, FieldStyle][] = [];
  const inUrl = new Set(url.references.map(([, ...names]) => names.join('.')));
  for (const parameter of mergedParameters(document, located, id)) {
    const { name, in: place } = parameter;
    if (typeof name !== 'string' || name === '__proto__') {
      throw unusable(`${id}.parameters`, `holds one named ${quoted(name)}`, 'a name');
    }
    // What the tool sets itself is not for the input to give, and what the URL does not name cannot be put into it.
    if ((place === 'header' && isSetByTool(name)) || (place === 'path' && !inUrl.has(name))) continue;
    const required = parameter['required'] === true || place === 'path';
    const taken = place === 'query' ? queryParameter(document, parameter) : singleParameter(document, parameter);
    if (typeof taken === 'string') {
      leaveOut(operation, `parameters.${name}`, required, taken, EXPECTED);
      continue;
    }
    const part = parts[place === 'header' ? 'headers' : place === 'path' ? 'path' : 'query'];
    const key = place === 'header' ? name.toLowerCase() : name;
    part.properties.set(key, taken.schema);
    if (required) part.required.add(key);
    if (taken.style !== undefined) styles.push([name, taken.style]);
  }
  for (const name of inUrl) {
    if (!parts.path.properties.has(name)) parts.path.properties.set(name, PLAIN_SEGMENT);
    parts.path.required.add(name);
  }
  const schemas = PARTS.filter((part) => parts[part].properties.size > 0).map((part): [Part, JsonObject] => [
    part,
    schemaOf(document, schemaOfMembers(parts[part]), 'request', `${id}.parameters`),
  ]);
  return { ...Object.fromEntries(schemas), queryStyles: Object.fromEntries(styles) };
}

function noMembers(): Members {
  return { properties: new Map(), required: new Set() };
}

function schemaOfMembers({ properties, required }: Members): JsonObject {
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    required: [...required],
    additionalProperties: false,
  };
}

const EXPECTED = 'a path, query or header parameter with a schema, in a style that the http tool can write';

/** Whether the tool sets the header itself, or takes it from the config. */
export function isSetByTool(name: string): boolean {
  const lower = name.toLowerCase();
  return DESCRIBED_ELSEWHERE.has(lower) || headerProblem(lower, 'x') !== undefined;
}

/** Merges parameters: those of the operation win over those of its path with the same name and place. */
export function mergedParameters(
  document: OpenApiDocument,
  { item, operation }: Pick<Located, 'item' | 'operation'>,
  field: string,
): readonly JsonObject[] {
  const merged = new Map<string, JsonObject>();
  for (const node of [...listOf(item['parameters']), ...listOf(operation['parameters'])]) {
    const parameter = follow(document, node, `${field}.parameters`);
    merged.set(JSON.stringify([parameter['in'], parameter['name']]), parameter);
  }
  return [...merged.values()];
}

interface Taken {
  readonly schema: Json;
  readonly style: FieldStyle | undefined;
}

/** A query parameter, or why it cannot be sent. */
function queryParameter(document: OpenApiDocument, parameter: JsonObject): Taken | string {
  const { schema, content, name } = parameter;
  if (content !== undefined) {
    const [[type, media] = ['', undefined]] = isObject(content) ? Object.entries(content) : [];
    if (!isJsonType(type)) return `with content of ${type.slice(0, 80)}`;
    return { schema: (isObject(media) ? media['schema'] : undefined) ?? {}, style: 'json' };
  }
  if (schema === undefined) return 'without a schema';
  const style = styleOf(parameter);
  if (style === undefined) return `in the style ${quoted(parameter['style'])}`;
  const kinds = kindsOf(document, schema);
  // What needs no style gets none, so that what is imported stays readable.
  const isPlain = style === 'form' && kinds.size > 0 && !kinds.has('object') && !/[[\]]/.test(quoted(name));
  return { schema, style: isPlain ? undefined : style };
}

/** A parameter of the path or of the headers, or why it cannot be sent. How a path writes it is said in the URL. */
function singleParameter(document: OpenApiDocument, parameter: JsonObject): Taken | string {
  const { schema, in: place, style = 'simple' } = parameter;
  if (place !== 'path' && place !== 'header') return `in the place ${quoted(place)}`;
  if (schema === undefined) return 'without a schema';
  if (style !== 'simple' && place === 'header') return `in the style ${quoted(style)}`;
  const kinds = kindsOf(document, schema);
  const isWritable = kinds.size === 0 || kinds.has('scalar') || (kinds.has('list') && place === 'path');
  if (!isWritable) return `in the ${place} with ${place === 'path' ? 'an object' : 'a list or an object'} as its value`;
  return { schema: place === 'header' ? asText(document, schema) : schema, style: undefined };
}

const OPERATORS = new Map<Json, string>([
  ['simple', ''],
  ['label', '.'],
  ['matrix', ';'],
]);

/** The URL with the styles of its parameters as RFC 6570 writes them: `/points{;at*}`. @throws CountersignError CONFIG_INVALID */
export function urlOf({ document, located, id }: OperationImport): string {
  const inPath = mergedParameters(document, located, id).filter((parameter) => parameter['in'] === 'path');
  return located.path.replaceAll(/\{([^{}]+)\}/g, (_text, name: string) => {
    const { style = 'simple', explode } = inPath.find((parameter) => parameter['name'] === name) ?? {};
    const operator = OPERATORS.get(style);
    if (operator === undefined)
      throw unusable(`${id}.parameters.${name}`, `is required in the style ${quoted(style)}`, EXPECTED);
    // `{key}` alone means the idempotency key.
    return `{${operator}${name === 'key' ? 'path.key' : name}${operator !== '' && explode === true ? '*' : ''}}`;
  });
}

/** The schema of a header, which is always a text. */
function asText(document: OpenApiDocument, schema: Json): Json {
  const { type, enum: values } = follow(document, schema, 'schema');
  if (Array.isArray(values)) return { type: 'string', enum: values.map(String) };
  if (type === 'integer') return { type: 'string', pattern: '^-?[0-9]{1,20}$' };
  if (type === 'number') return { type: 'string', pattern: '^-?[0-9]{1,20}(\\.[0-9]{1,20})?$' };
  return type === 'boolean' ? { type: 'string', enum: ['true', 'false'] } : schema;
}
