/** Reads an OpenAPI 3 document, and follows references within it, but never to other documents. */
import { CountersignError } from '../../../action/errors.js';
import { assertJson, type Json, type JsonObject } from '../../../action/json.js';
import { parseJson, parseYaml } from '../../../action/parse.js';
import { at, tokensOf } from '../pointer.js';

export interface OpenApiDocument {
  readonly root: JsonObject;
  /** The dialect of JSON Schema: 3.0 has its own, and 3.1 and later use 2020-12. */
  readonly dialect: '3.0' | '2020-12';
}

const MAX_HOPS = 16;

/** Reads a document. @throws CountersignError CONFIG_INVALID, INVALID_JSON or INVALID_YAML */
export function readDocument(source: string | JsonObject): OpenApiDocument {
  const root: Json =
    typeof source !== 'string'
      ? source
      : source.trimStart().startsWith('{')
        ? parseJson(source, 'document')
        : parseYaml(source, 'document');
  assertJson(root, 'document');
  const version = isObject(root) ? root['openapi'] : undefined;
  if (isObject(root) && typeof version === 'string' && /^3\.[0-2](\.|$)/.test(version)) {
    return { root, dialect: version.startsWith('3.0') ? '3.0' : '2020-12' };
  }
  throw unusable('openapi', 'is not that of an OpenAPI 3 document', 'openapi: 3.0.x or 3.1.x');
}

/** Returns the node itself, or what its `$ref` leads to. @throws CountersignError CONFIG_INVALID */
export function follow({ root }: OpenApiDocument, node: Json | undefined, field: string): JsonObject {
  let found = node;
  for (let hops = 0; isObject(found) && typeof found['$ref'] === 'string'; hops++) {
    if (hops === MAX_HOPS) throw unusable(field, 'refers to itself', 'a reference that ends somewhere');
    found = resolve(root, found['$ref'], field);
  }
  if (!isObject(found)) throw unusable(field, 'is missing, or no object', 'an object');
  return found;
}

export function resolve(root: JsonObject, ref: string, field: string): Json {
  // Another document may have another author, so it is neither fetched nor read.
  if (!ref.startsWith('#'))
    throw unusable(field, `refers to ${ref.slice(0, 100)}`, 'references within the document (#/…)');
  let pointer: string;
  try {
    pointer = decodeURIComponent(ref.slice(1));
  } catch {
    throw unusable(field, `refers to ${ref.slice(0, 100)}`, 'a JSON pointer');
  }
  const found = at(root, tokensOf(pointer));
  if (found === undefined)
    throw unusable(field, `refers to ${ref.slice(0, 100)}, which is not there`, 'a pointer to a part of the document');
  return found;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function unusable(field: string, problem: string, expected: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} of the OpenAPI document ${problem}.`, {
    field,
    expected,
    fix: 'Correct the document, or declare the operation by hand.',
  });
}
