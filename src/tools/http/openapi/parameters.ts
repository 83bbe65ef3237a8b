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
  readonly properties: [string, Json][];
  readonly required: string[];
}

/** Header parameters that OpenAPI describes elsewhere: in the content, and in the security. */
const DESCRIBED_ELSEWHERE: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization']);
const PLAIN_SEGMENT: JsonObject = { type: ['string', 'integer'], minLength: 1, maxLength: 256 };

/** @throws CountersignError CONFIG_INVALID */
export function parametersOf(operation: OperationImport, url: Template): ImportedParameters {
  const { document, id, located } = operation;
  const parts: Record<Part, Members> = {
    path: { properties: [], required: [] },
    query: { properties: [], required: [] },
    headers: { properties: [], required: [] },
  };
  const styles: [string, FieldStyle][] = [];
  const inUrl = new Set(url.references.map(([, ...names]) => names.join('.')));
  for (const parameter of mergedParameters(document, located, id)) {
    const { name, in: place } = parameter;
    if (typeof name !== 'string') throw unusable(`${id}.parameters`, 'holds one without a name', 'a name');
    if (name === '__proto__') throw unusable(`${id}.parameters`, 'holds one named __proto__', 'other names');
    const required = parameter['required'] === true || place === 'path';
    if (place === 'header' && isSetByTool(name)) continue;
    // What the URL does not name cannot be put into it.
    if (place === 'path' && !inUrl.has(name)) continue;
    const taken = place === 'query' ? queryParameter(document, parameter) : singleParameter(document, parameter);
    if (typeof taken === 'string') {
      leaveOut(operation, `parameters.${name}`, required, taken, EXPECTED);
      continue;
    }
    const part = parts[place === 'header' ? 'headers' : place === 'path' ? 'path' : 'query'];
    const key = place === 'header' ? name.toLowerCase() : name;
    part.properties.push([key, taken.schema]);
    if (required) part.required.push(key);
    if (taken.style !== undefined) styles.push([name, taken.style]);
  }
  const described = new Set(parts.path.properties.map(([name]) => name));
  for (const name of inUrl) {
    if (described.has(name)) continue;
    parts.path.properties.push([name, PLAIN_SEGMENT]);
    parts.path.required.push(name);
  }
  const schemas = PARTS.filter((part) => parts[part].properties.length > 0).map((part): [Part, JsonObject] => {
    const { properties, required } = parts[part];
    const schema = {
      type: 'object',
      properties: Object.fromEntries(properties),
      required,
      additionalProperties: false,
    };
    return [part, schemaOf(document, schema, 'request', `${id}.parameters`)];
  });
  return { ...Object.fromEntries(schemas), queryStyles: Object.fromEntries(styles) };
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

/** A parameter of the path or of the headers, which is one text, or why it cannot be sent. */
function singleParameter(document: OpenApiDocument, parameter: JsonObject): Taken | string {
  const { schema, in: place } = parameter;
  if (place !== 'path' && place !== 'header') return `in the place ${quoted(place)}`;
  if (schema === undefined) return 'without a schema';
  if ((parameter['style'] ?? 'simple') !== 'simple') return `in the style ${quoted(parameter['style'])}`;
  const kinds = kindsOf(document, schema);
  if (kinds.size > 0 && !kinds.has('scalar')) return `in the ${place} with a list or an object as its value`;
  return { schema: place === 'header' ? asText(document, schema) : schema, style: undefined };
}

/** The schema of a header, which is always a text. */
function asText(document: OpenApiDocument, schema: Json): Json {
  const { type, enum: values } = follow(document, schema, 'schema');
  if (Array.isArray(values)) return { type: 'string', enum: values.map(String) };
  if (type === 'integer') return { type: 'string', pattern: '^-?[0-9]{1,20}$' };
  if (type === 'number') return { type: 'string', pattern: '^-?[0-9]{1,20}(\\.[0-9]{1,20})?$' };
  return type === 'boolean' ? { type: 'string', enum: ['true', 'false'] } : schema;
}
