/** Makes operations from an OpenAPI 3 document: their requests and responses. The operator adds how they are verified. */
import type { Json, JsonObject } from '../../../action/json.js';
import { METHODS, type Method } from '../../../http/options.js';
import { type HttpOperation } from '../options.js';
import { follow, isObject, readDocument, unusable, type OpenApiDocument } from './document.js';
import { schemaOf } from './schema.js';

export interface OpenApiOptions {
  /**
   * The operations to import, by `operationId`, with what the document does not say. Operations that are not named are not imported.
   * PUT, PATCH and DELETE of a URL that also has a GET get it as their probe `resource`, unless a probe is given.
   */
  readonly operations: Readonly<Record<string, Omit<Partial<HttpOperation>, 'method' | 'url'>>>;
}

/** Header parameters that OpenAPI describes elsewhere, and those that the tool sets itself. */
const IGNORED_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'content-type',
  'authorization',
  'idempotency-key',
  'if-match',
]);

interface Located {
  readonly method: Method;
  readonly path: string;
  readonly item: JsonObject;
  readonly operation: JsonObject;
}

/**
 * Makes the `operations` of `http`. The document is JSON, YAML or already parsed. Its `servers` and `security` are not used, because the
 * config says where requests go and with which credentials.
 *
 * @throws CountersignError CONFIG_INVALID, INVALID_JSON, INVALID_YAML
 */
export function fromOpenApi(
  source: string | JsonObject,
  { operations }: OpenApiOptions,
): Record<string, HttpOperation> {
  const document = readDocument(source);
  const located = locate(document);
  return Object.fromEntries(
    Object.entries(operations).map(([id, additions]) => {
      const found = located.get(id);
      if (found === undefined)
        throw unusable('paths', `has no operation ${id}`, `one of: ${[...located.keys()].join(', ')}`);
      return [id, { ...operationOf(document, id, found, located), ...additions }];
    }),
  );
}

function locate(document: OpenApiDocument): ReadonlyMap<string, Located> {
  const located = new Map<string, Located>();
  const { paths } = document.root;
  for (const [path, node] of Object.entries(isObject(paths) ? paths : {})) {
    if (!path.startsWith('/')) continue;
    const item = follow(document, node, `paths.${path}`);
    for (const method of METHODS) {
      const operation = item[method.toLowerCase()];
      const id = isObject(operation) ? operation['operationId'] : undefined;
      if (!isObject(operation) || typeof id !== 'string') continue;
      if (located.has(id))
        throw unusable(`paths.${path}`, `has the operationId ${id} for a second time`, 'each operationId once');
      located.set(id, { method, path, item, operation });
    }
  }
  return located;
}

function operationOf(
  document: OpenApiDocument,
  id: string,
  { method, path, item, operation }: Located,
  located: ReadonlyMap<string, Located>,
): HttpOperation {
  const parameters = parametersOf(document, item, operation, id);
  const body = bodyOf(document, operation, id);
  const response = responseOf(document, operation, id);
  const probed = ['PUT', 'PATCH', 'DELETE'].includes(method) && isReadable(document, path, located);
  return {
    method,
    url: path,
    input: { ...parameters, ...body },
    ...(response === undefined ? {} : { response }),
    ...(probed ? { probes: { resource: { get: path } } } : {}),
  };
}

/** Whether the URL has a GET that needs nothing but the URL. */
function isReadable(document: OpenApiDocument, path: string, located: ReadonlyMap<string, Located>): boolean {
  const get = [...located.values()].find((one) => one.path === path && one.method === 'GET');
  if (get === undefined) return false;
  const all = mergedParameters(document, get.item, get.operation, path);
  return !all.some((one) => one['required'] === true && one['in'] !== 'path' && !isIgnored(one));
}

/** Merges parameters: those of the operation win over those of its path with the same name and place. */
function mergedParameters(
  document: OpenApiDocument,
  item: JsonObject,
  operation: JsonObject,
  field: string,
): readonly JsonObject[] {
  const merged = new Map<string, JsonObject>();
  for (const list of [item['parameters'], operation['parameters']]) {
    for (const node of Array.isArray(list) ? (list as readonly Json[]) : []) {
      const parameter = follow(document, node, `${field}.parameters`);
      merged.set(JSON.stringify([parameter['in'], parameter['name']]), parameter);
    }
  }
  return [...merged.values()];
}

function isIgnored({ in: place, name }: JsonObject): boolean {
  return place === 'header' && typeof name === 'string' && IGNORED_HEADERS.has(name.toLowerCase());
}

const PARTS = { path: 'path', query: 'query', header: 'headers' } as const;

function parametersOf(
  document: OpenApiDocument,
  item: JsonObject,
  operation: JsonObject,
  id: string,
): { -readonly [part in 'path' | 'query' | 'headers']?: JsonObject } {
  const parts: { [part in 'path' | 'query' | 'headers']?: { properties: Record<string, Json>; required: string[] } } =
    {};
  for (const parameter of mergedParameters(document, item, operation, id)) {
    const place = parameter['in'];
    const name = parameter['name'];
    if (typeof name !== 'string') throw unusable(`${id}.parameters`, 'holds one without a name', 'a name');
    const required = parameter['required'] === true;
    if (isIgnored(parameter)) continue;
    const part = place === 'path' || place === 'query' || place === 'header' ? PARTS[place] : undefined;
    if (part === undefined || parameter['schema'] === undefined || !isPlainStyle(parameter)) {
      if (!required) continue;
      throw unusable(
        `${id}.parameters.${name}`,
        'is required in a form that is not supported',
        'a path, query or header parameter with a schema in the default style',
      );
    }
    const members = (parts[part] ??= { properties: {}, required: [] });
    const key = part === 'headers' ? name.toLowerCase() : name;
    members.properties[key] = parameter['schema'];
    if (required || part === 'path') members.required.push(key);
  }
  return Object.fromEntries(
    Object.entries(parts).map(([part, members]) => {
      const schema: JsonObject = { type: 'object', ...members, additionalProperties: false };
      return [part, schemaOf(document, schema, 'request', `${id}.parameters`)];
    }),
  );
}

function isPlainStyle({ in: place, style, explode }: JsonObject): boolean {
  if (place === 'query') return (style ?? 'form') === 'form' && explode !== false;
  return (style ?? 'simple') === 'simple';
}

function bodyOf(
  document: OpenApiDocument,
  operation: JsonObject,
  id: string,
): { body?: JsonObject; bodyOptional?: boolean } {
  if (operation['requestBody'] === undefined) return {};
  const requestBody = follow(document, operation['requestBody'], `${id}.requestBody`);
  const required = requestBody['required'] === true;
  const schema = jsonSchemaIn(requestBody['content']);
  if (schema !== undefined) {
    const body = schemaOf(document, schema, 'request', `${id}.requestBody`);
    return required ? { body } : { body, bodyOptional: true };
  }
  if (!required) return {};
  throw unusable(`${id}.requestBody`, 'is required in a form that is not supported', 'application/json');
}

/** The schema of all 2xx responses; undefined when the document does not describe them. */
function responseOf(document: OpenApiDocument, operation: JsonObject, id: string): JsonObject | undefined {
  const responses = isObject(operation['responses']) ? operation['responses'] : {};
  const successes = Object.entries(responses).filter(([status]) => /^2(\d\d|XX)$/i.test(status));
  if (successes.length === 0) return undefined;
  const anyOf = successes.map(([status, node]): JsonObject => {
    const field = `${id}.responses.${status}`;
    const { content } = follow(document, node, field);
    const schema = jsonSchemaIn(content);
    if (schema !== undefined) return schemaOf(document, schema, 'response', field);
    // A body described as something other than JSON may be anything; without a description there is none.
    return content === undefined ? { type: 'null' } : {};
  });
  // Each schema has its own definitions, and references start at the root, so an identifier makes each schema a root.
  return { anyOf: anyOf.map((schema, index) => ({ $id: `urn:countersign:${index}`, ...schema })) };
}

function jsonSchemaIn(content: Json | undefined): Json | undefined {
  const types = isObject(content) ? Object.entries(content) : [];
  const json = types.find(([type]) => /^application\/(.+\+)?json(\s*;|$)/i.test(type))?.[1];
  return isObject(json) ? (json['schema'] ?? {}) : undefined;
}
