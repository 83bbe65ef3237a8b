/** The parameters of an operation: the schemas of its path, query and headers, and how lists and objects in them are written. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { FieldStyle, HeaderStyle } from '../fields.js';
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
  readonly styles: {
    readonly query: Readonly<Record<string, FieldStyle>>;
    readonly headers: Readonly<Record<string, HeaderStyle>>;
  };
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
  const styles = { query: new Map<string, FieldStyle>(), headers: new Map<string, HeaderStyle>() };
  const inUrl = new Set(url.references.map(([, ...names]) => names.join('.')));
  for (const parameter of mergedParameters(document, located, id)) {
    const { name, in: place } = parameter;
    if (typeof name !== 'string' || name === '__proto__') {
      throw unusable(`${id}.parameters`, `holds one named ${quoted(name)}`, 'a name');
    }
    // What the tool sets itself is not for the input to give, and what the URL does not name cannot be put into it.
    if ((place === 'header' && isSetByTool(name)) || (place === 'path' && !inUrl.has(name))) continue;
    const required = parameter['required'] === true || place === 'path';
    const taken = takenFrom(document, parameter);
    if (typeof taken === 'string') {
      leaveOut(operation, `parameters.${name}`, required, taken, EXPECTED);
      continue;
    }
    const part = parts[place === 'header' ? 'headers' : place === 'path' ? 'path' : 'query'];
    const key = place === 'header' ? name.toLowerCase() : name;
    part.properties.set(key, taken.schema);
    if (required) part.required.add(key);
    if (taken.queryStyle !== undefined) styles.query.set(name, taken.queryStyle);
    if (taken.headerStyle !== undefined) styles.headers.set(key, taken.headerStyle);
  }
  for (const name of inUrl) {
    if (!parts.path.properties.has(name)) parts.path.properties.set(name, PLAIN_SEGMENT);
    parts.path.required.add(name);
  }
  const schemas = PARTS.filter((part) => parts[part].properties.size > 0).map((part): [Part, JsonObject] => [
    part,
    schemaOf(document, schemaOfMembers(parts[part]), 'request', `${id}.parameters`),
  ]);
  return {
    ...Object.fromEntries(schemas),
    styles: { query: Object.fromEntries(styles.query), headers: Object.fromEntries(styles.headers) },
  };
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
  readonly queryStyle?: FieldStyle | undefined;
  readonly headerStyle?: HeaderStyle;
}

/** A parameter, or why it cannot be sent. */
function takenFrom(document: OpenApiDocument, parameter: JsonObject): Taken | string {
  const { in: place, schema } = parameter;
  if (place === 'query') return queryParameter(document, parameter);
  if (place !== 'path' && place !== 'header') return `in the place ${quoted(place)}`;
  if (schema === undefined) return 'without a schema';
  // How a path writes it is said in the URL.
  return place === 'path' ? { schema } : headerParameter(document, parameter, schema);
}

/** A query parameter, or why it cannot be sent. */
function queryParameter(document: OpenApiDocument, parameter: JsonObject): Taken | string {
  const { schema, content, name } = parameter;
  if (content !== undefined) {
    const [[type, media] = ['', undefined]] = isObject(content) ? Object.entries(content) : [];
    if (!isJsonType(type)) return `with content of ${type.slice(0, 80)}`;
    return { schema: (isObject(media) ? media['schema'] : undefined) ?? {}, queryStyle: 'json' };
  }
  if (schema === undefined) return 'without a schema';
  const style = styleOf(parameter);
  if (style === undefined) return `in the style ${quoted(parameter['style'])}`;
  const kinds = kindsOf(document, schema);
  // What needs no style gets none, so that what is imported stays readable.
  const isPlain = style === 'form' && kinds.size > 0 && !kinds.has('object') && !/[[\]]/.test(quoted(name));
  return { schema, queryStyle: isPlain ? undefined : style };
}

function headerParameter(document: OpenApiDocument, parameter: JsonObject, schema: Json): Taken | string {
  const { style = 'simple', explode } = parameter;
  if (style !== 'simple') return `in the style ${quoted(style)}`;
  const kinds = kindsOf(document, schema);
  if (!kinds.has('list') && !kinds.has('object')) return { schema: asText(document, schema) };
  return { schema, headerStyle: explode === true ? 'pairs' : 'comma' };
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
    const { style = 'simple', explode, schema } = inPath.find((parameter) => parameter['name'] === name) ?? {};
    const operator = OPERATORS.get(style);
    if (operator === undefined)
      throw unusable(`${id}.parameters.${name}`, `is required in the style ${quoted(style)}`, EXPECTED);
    // A simple text or list is the same, exploded or not.
    const exploded = explode === true && (operator !== '' || kindsOf(document, schema).has('object'));
    // `{key}` alone means the idempotency key.
    return `{${operator}${name === 'key' ? 'path.key' : name}${exploded ? '*' : ''}}`;
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
