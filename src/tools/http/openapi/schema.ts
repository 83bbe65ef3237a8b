/** Converts schemas of an OpenAPI document to self-contained JSON Schema 2020-12, with everything that they refer to, even recursively. */
import type { Json, JsonObject } from '../../../action/json.js';
import { follow, isObject, resolve, unusable, type OpenApiDocument } from './document.js';

/** A required property may be missing from a request when it is read-only, and from a response when it is write-only. */
export type Direction = 'request' | 'response';

const ONE: ReadonlySet<string> = new Set([
  'items',
  'additionalProperties',
  'not',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
const LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'dependentSchemas']);
/** Keywords that change what references mean. They are refused. */
const UNSUPPORTED = ['$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$recursiveRef'];
/** Keywords that are left out: references find them by pointer, or they have another meaning for the validator. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  '$defs',
  '$schema',
  'nullable',
  'discriminator',
  'readOnly',
  'writeOnly',
  'default',
]);

/** Converts a schema. @throws CountersignError CONFIG_INVALID */
export function schemaOf(document: OpenApiDocument, schema: Json, direction: Direction, field: string): JsonObject {
  const conversion = new Conversion(document, direction, field);
  const converted = conversion.convert(schema);
  return { allOf: [converted], $defs: conversion.definitions() };
}

class Conversion {
  readonly #document: OpenApiDocument;
  readonly #direction: Direction;
  readonly #field: string;
  /** The names of converted definitions, by reference. A name is set before its definition is converted, so that recursion ends. */
  readonly #names = new Map<string, string>();
  readonly #definitions: Record<string, Json> = {};

  constructor(document: OpenApiDocument, direction: Direction, field: string) {
    this.#document = document;
    this.#direction = direction;
    this.#field = field;
  }

  definitions(): JsonObject {
    return this.#definitions;
  }

  convert(schema: Json): Json {
    if (typeof schema === 'boolean') return schema;
    if (!isObject(schema)) throw unusable(this.#field, 'holds a schema that is no object', 'a schema');
    const foreign = UNSUPPORTED.find((keyword) => keyword in schema);
    if (foreign !== undefined) throw unusable(this.#field, `holds ${foreign}`, 'schemas with plain references');

    const { $ref, ...siblings } = schema;
    if (typeof $ref === 'string') {
      const reference = { $ref: `#/$defs/${this.#definition($ref)}` };
      // In 3.0, siblings of a reference are ignored.
      if (this.#document.dialect === '3.0' || Object.keys(siblings).length === 0) return reference;
      return { allOf: [reference, this.convert(siblings)] };
    }
    const converted: Record<string, Json> = {};
    for (const [keyword, value] of Object.entries(schema)) {
      if (LEFT_OUT.has(keyword)) continue;
      if (keyword === 'required') converted[keyword] = this.#required(value, schema);
      else if (ONE.has(keyword)) converted[keyword] = this.convert(value);
      else if (LISTS.has(keyword) && Array.isArray(value))
        converted[keyword] = value.map((one: Json) => this.convert(one));
      else if (MAPS.has(keyword) && isObject(value)) converted[keyword] = this.#each(value);
      else converted[keyword] = value;
    }
    return this.#document.dialect === '3.0' ? from30(schema, converted) : converted;
  }

  #each(map: JsonObject): JsonObject {
    return Object.fromEntries(Object.entries(map).map(([name, schema]) => [name, this.convert(schema)]));
  }

  #definition(ref: string): string {
    const known = this.#names.get(ref);
    if (known !== undefined) return known;
    const name = `d${this.#names.size}`;
    this.#names.set(ref, name);
    this.#definitions[name] = this.convert(resolve(this.#document.root, ref, this.#field));
    return name;
  }

  #required(names: Json, { properties }: JsonObject): Json {
    if (!Array.isArray(names) || !isObject(properties)) return names;
    const excused = this.#direction === 'request' ? 'readOnly' : 'writeOnly';
    return names.filter((name: Json) => {
      const property = typeof name === 'string' && Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (!isObject(property)) return true;
      return property[excused] !== true && follow(this.#document, property, this.#field)[excused] !== true;
    });
  }
}

/** Converts the keywords of 3.0: `nullable`, and exclusive bounds as booleans. */
function from30(schema: JsonObject, converted: Record<string, Json>): JsonObject {
  const { nullable, type, enum: values } = schema;
  if (nullable === true && typeof type === 'string') {
    converted['type'] = [type, 'null'];
    if (Array.isArray(values) && !values.includes(null)) converted['enum'] = [...(values as Json[]), null];
  }
  for (const [bound, exclusive] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    const value = schema[bound];
    if (typeof schema[exclusive] === 'boolean') delete converted[exclusive];
    if (schema[exclusive] === true && value !== undefined) {
      delete converted[bound];
      converted[exclusive] = value;
    }
  }
  return converted;
}
