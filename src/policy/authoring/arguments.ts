/** What the JSON schemas of operations say of arguments: whether one can be there, which types it can have, samples of inputs. */
import { inputOf, type OperationDescription } from '../../action/catalogue.js';
import type { Json, JsonObject } from '../../action/json.js';

/** References lead from schema to schema; so many are followed. */
const MAX_REFERENCES = 32;

export type JsonSchema = JsonObject | boolean;

/** A schema within a document: its references are resolved against the root. */
export interface LocatedSchema {
  readonly schema: JsonSchema;
  readonly root: JsonSchema;
}

/** The schema of what the tool's input has under the operation: that of its arguments, wherever they are. */
export function inputSchema(operation: OperationDescription): LocatedSchema {
  const { arguments: args, argumentsIn, fixed } = operation;
  const constants = Object.fromEntries(Object.entries(fixed).map(([name, value]) => [name, { const: value }]));
  if (argumentsIn === undefined) {
    const properties = { ...(args['properties'] as JsonObject | undefined), ...constants };
    return { schema: { ...args, properties }, root: args };
  }
  return {
    schema: {
      type: 'object',
      properties: { ...constants, [argumentsIn]: args },
      required: [argumentsIn],
      additionalProperties: false,
    },
    root: args,
  };
}

/** Whether an input of the operation can have this argument. */
export function argumentKnown(operation: OperationDescription, path: readonly string[]): boolean {
  return known(inputSchema(operation), path);
}

function known(at: LocatedSchema, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return true;
  return variants(at).some(({ schema, root }) => {
    if (typeof schema === 'boolean') return schema;
    const { properties, additionalProperties: more = true, type } = schema as SchemaObject;
    if (type !== undefined && type !== 'object' && !(Array.isArray(type) && type.includes('object'))) return false;
    const own = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (own !== undefined) return known({ schema: own, root }, rest);
    return more !== false && known({ schema: more, root }, rest);
  });
}

export interface SchemaObject {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema;
  readonly items?: JsonSchema;
  readonly [keyword: string]: unknown;
}

/** What a schema may be, its references followed and its alternatives taken apart. */
export function variants({ schema, root }: LocatedSchema, followed = 0): readonly LocatedSchema[] {
  if (typeof schema === 'boolean' || followed > MAX_REFERENCES) return [{ schema, root }];
  const {
    $ref: reference,
    anyOf,
    oneOf,
  } = schema as SchemaObject & {
    readonly $ref?: unknown;
    readonly anyOf?: readonly JsonSchema[];
    readonly oneOf?: readonly JsonSchema[];
  };
  if (typeof reference === 'string') {
    const target = resolved(root, reference);
    // What a reference leads to nowhere can be anything.
    return target === undefined ? [{ schema: true, root }] : variants({ schema: target, root }, followed + 1);
  }
  const alternatives = anyOf ?? oneOf;
  return alternatives === undefined
    ? [{ schema, root }]
    : alternatives.flatMap((one) => variants({ schema: one, root }, followed + 1));
}

function resolved(root: JsonSchema, reference: string): JsonSchema | undefined {
  if (!reference.startsWith('#')) return undefined;
  let at: unknown = root;
  for (const part of reference
    .slice(1)
    .split('/')
    .filter((part) => part !== '')) {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return at as JsonSchema | undefined;
}

/** The deepest part of a sample. */
const MAX_SAMPLE_DEPTH = 6;

/** One input of an operation, and what is special about it. */
export interface SampleInput {
  readonly input: JsonObject;
  /** `amount` is left out, or null. Absent: everything is there. */
  readonly lacks?: string;
}

/**
 * Inputs that the schema allows: one with every argument; for each that may be absent, one without it; for each that may be null, one where it
 * is. Values are those of `const`, `enum`, `default` or `examples`, else anything of the type: patterns and bounds are not met.
 */
export function sampleInputs(operation: OperationDescription): readonly SampleInput[] {
  const { argumentsIn } = operation;
  const args = { schema: operation.arguments, root: operation.arguments };
  const whole = sample(args, 0) as JsonObject;
  const prefix = argumentsIn === undefined ? '' : `${argumentsIn}.`;
  const lacking = lackable(args, [], 0).map(({ path, value }) => ({
    input: inputOf(operation, replaced(whole, path, value)),
    lacks: `${prefix}${path.join('.')}${value === null ? ' = null' : ''}`,
  }));
  return [{ input: inputOf(operation, whole) }, ...lacking];
}

function replaced(value: JsonObject, [name = '', ...rest]: readonly string[], by: null | undefined): JsonObject {
  const { [name]: own, ...others } = value;
  if (rest.length > 0) return { ...others, [name]: replaced((own ?? {}) as JsonObject, rest, by) };
  return by === undefined ? others : { ...others, [name]: by };
}

interface Lack {
  readonly path: readonly string[];
  readonly value: null | undefined;
}

function lackable(at: LocatedSchema, path: readonly string[], depth: number): readonly Lack[] {
  const [first] = variants(at);
  if (first === undefined || typeof first.schema === 'boolean' || depth > MAX_SAMPLE_DEPTH) return [];
  const { properties = {}, required = [] } = first.schema as SchemaObject;
  return Object.entries(properties).flatMap(([name, schema]) => {
    const own = [...path, name];
    const located = { schema, root: at.root };
    return [
      ...(required.includes(name) ? [] : [{ path: own, value: undefined }]),
      ...(variants(located).some(isNullable) ? [{ path: own, value: null }] : []),
      ...lackable(located, own, depth + 1),
    ];
  });
}

function isNullable({ schema }: LocatedSchema): boolean {
  if (typeof schema === 'boolean') return schema;
  const { type, nullable, const: constant, enum: values } = schema as SchemaObject;
  if (constant !== undefined || values !== undefined) {
    return constant === null || (Array.isArray(values) && values.includes(null));
  }
  return type === 'null' || (Array.isArray(type) && type.includes('null')) || nullable === true;
}

function sample(at: LocatedSchema, depth: number): Json {
  const found = variants(at).find((one) => typeof one.schema !== 'boolean' && one.schema['type'] !== 'null');
  if (found === undefined || depth > MAX_SAMPLE_DEPTH) return 'text';
  const schema = found.schema as SchemaObject;
  const { enum: values, examples, type, properties = {}, items } = schema;
  const given = [schema['const'], schema['default'], ...list(values), ...list(examples)];
  const value = given.find((one) => one !== undefined && one !== null);
  if (value !== undefined) return value as Json;
  const own = Array.isArray(type) ? (type as readonly string[]).find((one) => one !== 'null') : type;
  switch (own) {
    case 'integer':
    case 'number':
      return Math.max(1, Number(schema['minimum'] ?? 1));
    case 'boolean':
      return true;
    case 'array':
      return [sample({ schema: items ?? true, root: at.root }, depth + 1)];
    case 'string':
      return 'text';
    default:
      return Object.fromEntries(
        Object.entries(properties).map(([name, one]) => [name, sample({ schema: one, root: at.root }, depth + 1)]),
      );
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
