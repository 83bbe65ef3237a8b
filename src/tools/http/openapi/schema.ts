/** Converts schemas of an OpenAPI document to self-contained JSON Schema 2020-12, with everything that they refer to, even recursively. */
import type { Json, JsonObject } from '../../../action/json.js';
import { branchOf } from './discriminator.js';
import { follow, isObject, listOf, resolve, unusable, type OpenApiDocument } from './document.js';
import { unicodePattern } from './pattern.js';

/**
 * What the schema describes. A required property may be missing from a request when it is read-only, and from a response when it is
 * write-only; in a multipart body, binary texts are files.
 */
export type Direction = 'request' | 'response' | 'multipart';

const ONE: ReadonlySet<string> = new Set([
  'items',
  'additionalProperties',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
/** Keywords whose schemas apply to the same value as the schema that they stand in. */
const SAME_VALUE: ReadonlySet<string> = new Set(['not', 'if', 'then', 'else']);
const SAME_VALUE_LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf']);
/** Keywords that change what references mean. They are refused. */
const UNSUPPORTED = ['$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$recursiveRef'];
/** Keywords that are left out: references find them by pointer, or they have another meaning for the validator, or none. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  '$defs',
  'definitions',
  '$schema',
  '$comment',
  'nullable',
  'discriminator',
  'readOnly',
  'writeOnly',
  'default',
  'title',
  'description',
  'example',
  'examples',
  'externalDocs',
  'deprecated',
  'xml',
]);
/** How deep a schema may nest without a reference. */
const MAX_DEPTH = 100;

/** What an agent gives for a file of a multipart body. */
const FILE: JsonObject = {
  type: 'object',
  properties: {
    filename: { type: 'string' },
    contentType: { type: 'string' },
    text: { type: 'string' },
    base64: { type: 'string' },
  },
  oneOf: [{ required: ['text'] }, { required: ['base64'] }],
  additionalProperties: false,
};

/** Converts a schema. @throws CountersignError CONFIG_INVALID */
export function schemaOf(document: OpenApiDocument, schema: Json, direction: Direction, field: string): JsonObject {
  return new Conversion(document, direction, field).run(schema);
}

/** Whether a text is bytes, which a multipart body carries as a file. */
export function isBinary(schema: Json | undefined): boolean {
  if (!isObject(schema)) return false;
  if (schema['type'] === 'string' && schema['format'] === 'binary') return true;
  return schema['contentMediaType'] !== undefined && schema['contentEncoding'] === undefined;
}

/** Where a schema stands: in which definition, if it applies to the definition's own value, and how deep. */
interface Place {
  readonly owner: string | undefined;
  readonly depth: number;
}

class Conversion {
  readonly #document: OpenApiDocument;
  readonly #direction: Direction;
  readonly #field: string;
  /** The names of definitions, by reference. */
  readonly #names = new Map<string, string>();
  /** References whose definitions are to be converted. A list instead of recursion, because chains of references can be long. */
  readonly #waiting: string[] = [];
  /** Which definitions a definition applies to its own value. A circle of them would never end. */
  readonly #sameValue = new Map<string, Set<string>>();

  constructor(document: OpenApiDocument, direction: Direction, field: string) {
    this.#document = document;
    this.#direction = direction;
    this.#field = field;
  }

  run(schema: Json): JsonObject {
    const root = this.#convert(schema, { owner: undefined, depth: 0 });
    const definitions: [string, Json][] = [];
    for (let ref = this.#waiting.pop(); ref !== undefined; ref = this.#waiting.pop()) {
      const owner = this.#names.get(ref) ?? '';
      definitions.push([owner, this.#convert(resolve(this.#document.root, ref, this.#field), { owner, depth: 0 })]);
    }
    this.#refuseCircles();
    return definitions.length === 0 && isObject(root)
      ? root
      : { allOf: [root], $defs: Object.fromEntries(definitions) };
  }

  #convert(schema: Json, place: Place): Json {
    if (typeof schema === 'boolean') return schema;
    if (!isObject(schema)) throw this.#unusable('holds a schema that is no object', 'a schema');
    if (place.depth > MAX_DEPTH) throw this.#unusable('nests too deep', `at most ${MAX_DEPTH} levels`);
    const foreign = UNSUPPORTED.find((keyword) => keyword in schema);
    if (foreign !== undefined) throw this.#unusable(`holds ${foreign}`, 'schemas with plain references');
    if (this.#direction === 'multipart' && isBinary(schema)) return FILE;

    const { $ref, ...siblings } = schema;
    if (typeof $ref !== 'string') return this.#keywords(schema, place);
    const reference = this.#reference($ref, place);
    // In 3.0 siblings of a reference are ignored; `nullable` stands there all the same, and is meant.
    if (this.#document.dialect === '3.0') return siblings['nullable'] === true ? orNull(reference) : reference;
    const rest = this.#keywords(siblings, place);
    return Object.keys(rest).length === 0 ? reference : { allOf: [reference, rest] };
  }

  #keywords(schema: JsonObject, { owner, depth }: Place): JsonObject {
    const same: Place = { owner, depth: depth + 1 };
    const below: Place = { owner: undefined, depth: depth + 1 };
    const converted = Object.entries(schema).flatMap(([keyword, value]): [string, Json][] => {
      if (LEFT_OUT.has(keyword) || keyword.startsWith('x-')) return [];
      if (keyword === 'required') return [[keyword, this.#required(value, schema)]];
      if (keyword === 'pattern') return [[keyword, this.#pattern(value)]];
      if (ONE.has(keyword)) return [[keyword, this.#convert(value, below)]];
      if (SAME_VALUE.has(keyword)) return [[keyword, this.#convert(value, same)]];
      if (SAME_VALUE_LISTS.has(keyword)) return [[keyword, this.#branches(keyword, listOf(value), schema, same)]];
      if (keyword === 'prefixItems') return [[keyword, listOf(value).map((one) => this.#convert(one, below))]];
      if (keyword === 'dependentSchemas' && isObject(value)) return [[keyword, this.#each(value, same)]];
      if (keyword === 'properties' && isObject(value)) return [[keyword, this.#each(value, below)]];
      if (keyword === 'patternProperties' && isObject(value)) {
        const patterns = Object.entries(value).map(([pattern, one]) => [this.#pattern(pattern), one] as const);
        return [[keyword, this.#each(Object.fromEntries(patterns), below)]];
      }
      return [[keyword, value]];
    });
    const result = Object.fromEntries(converted);
    return this.#document.dialect === '3.0' ? from30(schema, result) : result;
  }

  #branches(keyword: string, schemas: readonly Json[], { discriminator }: JsonObject, place: Place): readonly Json[] {
    return schemas.map((schema) => {
      const branch = this.#convert(schema, place);
      return keyword === 'allOf' || !isObject(discriminator) ? branch : branchOf(discriminator, schema, branch);
    });
  }

  #each(map: JsonObject, place: Place): JsonObject {
    return Object.fromEntries(
      Object.entries(map).map(([name, schema]) => {
        if (name === '__proto__') throw this.#unusable('holds a property __proto__', 'other names');
        return [name, this.#convert(schema, place)];
      }),
    );
  }

  #reference(ref: string, { owner }: Place): JsonObject {
    let name = this.#names.get(ref);
    if (name === undefined) {
      name = `d${this.#names.size}`;
      this.#names.set(ref, name);
      this.#waiting.push(ref);
    }
    if (owner !== undefined) this.#sameValue.set(owner, (this.#sameValue.get(owner) ?? new Set()).add(name));
    return { $ref: `#/$defs/${name}` };
  }

  #pattern(value: Json): string {
    const pattern = typeof value === 'string' ? unicodePattern(value) : undefined;
    if (pattern !== undefined) return pattern;
    throw this.#unusable(
      `holds the pattern ${JSON.stringify(value).slice(0, 100)}`,
      'a regular expression of ECMA-262',
    );
  }

  #required(names: Json, { properties }: JsonObject): Json {
    if (!Array.isArray(names) || !isObject(properties)) return names;
    const excused = this.#direction === 'response' ? 'writeOnly' : 'readOnly';
    return names.filter((name: Json) => {
      const property = typeof name === 'string' && Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (!isObject(property)) return true;
      return property[excused] !== true && follow(this.#document, property, this.#field)[excused] !== true;
    });
  }

  /** Refuses definitions that apply themselves to their own value: validation would never end. */
  #refuseCircles(): void {
    const ended = new Set<string>();
    const visit = (name: string, path: ReadonlySet<string>): void => {
      if (path.has(name)) throw this.#unusable('holds a schema that is part of itself', 'schemas that end somewhere');
      if (ended.has(name)) return;
      const longer = new Set(path).add(name);
      for (const next of this.#sameValue.get(name) ?? []) visit(next, longer);
      ended.add(name);
    };
    for (const name of this.#sameValue.keys()) visit(name, new Set());
  }

  #unusable(problem: string, expected: string): Error {
    return unusable(this.#field, problem, expected);
  }
}

/** Converts the keywords of 3.0: `nullable`, and exclusive bounds as booleans. */
function from30(schema: JsonObject, converted: Record<string, Json>): JsonObject {
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
  if (schema['nullable'] !== true) return converted;
  const { type, enum: values } = schema;
  if (typeof type !== 'string' || ['allOf', 'anyOf', 'oneOf'].some((keyword) => keyword in schema)) {
    return orNull(converted);
  }
  converted['type'] = [type, 'null'];
  if (Array.isArray(values) && !values.includes(null)) converted['enum'] = [...(values as Json[]), null];
  return converted;
}

function orNull(schema: JsonObject): JsonObject {
  return { anyOf: [schema, { type: 'null' }] };
}
