/** Reads an OpenAPI 3 document, and follows references within it, but never to other documents. */
import { CountersignError } from '../../../action/errors.js';
import type { Json, JsonObject } from '../../../action/json.js';
import { readYaml } from '../../../action/parse.js';
import { at, tokensOf } from '../pointer.js';

export interface OpenApiDocument {
  readonly root: JsonObject;
  /** The dialect of JSON Schema: 3.0 has its own, and 3.1 and later use 2020-12. */
  readonly dialect: '3.0' | '2020-12';
}

const MAX_HOPS = 16;

/**
 * Reads a document. What it holds is checked operation by operation, when an operation is imported, so that nothing that is not used can be
 * in the way.
 *
 * @throws CountersignError CONFIG_INVALID, INVALID_JSON or INVALID_YAML
 */
export function readDocument(source: string | JsonObject): OpenApiDocument {
  const root = typeof source === 'string' ? read(source) : source;
  const version = isObject(root) ? root['openapi'] : undefined;
  if (isObject(root) && typeof version === 'string' && /^3\.[0-2](\.|$)/.test(version)) {
    return { root, dialect: version.startsWith('3.0') ? '3.0' : '2020-12' };
  }
  throw unusable('openapi', 'is not that of an OpenAPI 3 document', 'openapi: 3.0.x or 3.1.x');
}

function read(text: string): Json {
  if (!text.trimStart().startsWith('{')) return readYaml(text, 'document') as Json;
  try {
    // The parser of the platform reads large documents ten times as fast as one that also looks for keys that are there twice.
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new CountersignError('INVALID_JSON', `The OpenAPI document is not JSON: ${(error as Error).message}`, {
      field: 'document',
      expected: 'JSON text (RFC 8259)',
      fix: 'Check quotes, commas and brackets at the place named.',
      cause: error,
    });
  }
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
  const found = pointer === '' || pointer.startsWith('/') ? at(root, tokensOf(pointer)) : undefined;
  if (found === undefined)
    throw unusable(field, `refers to ${ref.slice(0, 100)}, which is not there`, 'a pointer to a part of the document');
  return found;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The own member of a node; undefined when the node is no object. */
export function member(node: Json | undefined, name: string): Json | undefined {
  return isObject(node) && Object.hasOwn(node, name) ? node[name] : undefined;
}

export function listOf(node: Json | undefined): readonly Json[] {
  return Array.isArray(node) ? (node as readonly Json[]) : [];
}

/** A value of the document for a message, cut short. */
export function quoted(value: Json | undefined): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')).slice(0, 80);
}

export function unusable(field: string, problem: string, expected: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} of the OpenAPI document ${problem}.`, {
    field,
    expected,
    fix: 'Correct the document, or declare the operation by hand.',
  });
}
