/** The Cedar types of the arguments of registered tools, from the JSON schemas of their operations. */
import { canonical } from '../../../action/json.js';
import type { ScalarKind } from '../../input/type.js';
import { inputSchema, variants, type JsonSchema, type LocatedSchema, type SchemaObject } from '../arguments.js';
import type { RegisteredTool } from '../registered.js';

type Leaf = { readonly kind: ScalarKind } | { readonly kind: 'Set'; readonly element: ScalarKind };
export type ArgumentType = Leaf | { readonly kind: 'Record'; readonly attributes: ReadonlyMap<string, ArgumentType> };

/** An argument that is not declared, and why. */
export interface UndeclaredArgument {
  readonly path: string;
  readonly why: string;
}

export interface GeneratedInput {
  readonly type: Extract<ArgumentType, { kind: 'Record' }>;
  readonly leftOut: readonly UndeclaredArgument[];
}

/** The most attributes, with those of nested records: as many as a schema may declare. */
const MAX_ATTRIBUTES = 256;
const MAX_DEPTH = 8;
/** What policies see is recorded with each decision, so what is secret stays out. */
const SECRET = /passw|secret|token|api[-_]?key|credential|authorization|cookie|card[-_]?number|cvv|cvc/i;
/** Attribute names that Cedar keeps for itself. */
const RESERVED = new Set(['__entity', '__extn', '__expr', '__proto__']);

/** A type as it is found, or why there is none. */
type Typed = Leaf | { readonly kind: 'Record'; readonly attributes: ReadonlyMap<string, Typed> } | string;

/**
 * One type for the inputs of all operations: one declaration holds for every tool. An argument is left out when it can have several types,
 * when two operations mean different things by its name, when it may be secret, and when it has a type that Cedar lacks: a value that does not
 * fit its declaration denies the action.
 */
export function generateInput(tools: readonly RegisteredTool[]): GeneratedInput {
  const leftOut = new Map<string, string>();
  const merged = new Map<string, Typed>();
  for (const { name, operations = [] } of tools) {
    for (const operation of operations) {
      const where = `${name} ${operation.operation}`;
      for (const [argument, typed] of attributesOf(inputSchema(operation), 0)) {
        merged.set(argument, merge(merged.get(argument), typed, where));
      }
    }
  }
  const budget = { left: MAX_ATTRIBUTES };
  const type = settled(merged, '', leftOut, budget);
  return {
    type,
    leftOut: [...leftOut].map(([path, why]) => ({ path, why })).sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

function attributesOf(at: LocatedSchema, depth: number): ReadonlyMap<string, Typed> {
  const found = new Map<string, Typed>();
  for (const { schema, root } of variants(at)) {
    const { properties = {} } = (typeof schema === 'boolean' ? {} : schema) as SchemaObject;
    for (const [name, own] of Object.entries(properties)) {
      const typed = typeOf({ schema: own, root }, name, depth + 1);
      const before = found.get(name);
      found.set(name, before === undefined ? typed : merge(before, typed, 'another variant'));
    }
  }
  return found;
}

/** The type, or why there is none. */
function typeOf(at: LocatedSchema, name: string, depth: number): Typed {
  if (SECRET.test(name)) return 'it may be secret, and what policies see is recorded';
  if (RESERVED.has(name)) return 'Cedar keeps the name for itself';
  if (depth > MAX_DEPTH) return 'it nests too deeply';
  const own = variants(at);
  if (own.some(({ schema }) => isSecret(schema))) return 'it may be secret, and what policies see is recorded';
  const kinds = new Set(own.flatMap(({ schema }) => kindsOf(schema)));
  const [kind] = kinds;
  if (kinds.size > 1) return `it can be ${[...kinds].sort().join(' or ')}`;
  switch (kind) {
    case 'string':
      return { kind: 'String' };
    case 'boolean':
      return { kind: 'Bool' };
    case 'integer':
      return { kind: 'Long' };
    case 'number':
      return own.every(({ schema }) => hasFewDigits(schema))
        ? { kind: 'decimal' }
        : 'it is a number that may have more than 4 fractional digits (multipleOf says nothing else)';
    case 'array':
      return setOf(own, depth);
    case 'object':
      return recordOf(at, depth);
    default:
      return 'its schema does not say its type';
  }
}

function isSecret(schema: JsonSchema): boolean {
  return typeof schema !== 'boolean' && (schema['writeOnly'] === true || schema['format'] === 'password');
}

function kindsOf(schema: JsonSchema): readonly string[] {
  if (typeof schema === 'boolean') return ['anything'];
  const { type, enum: values, const: constant, nullable } = schema as SchemaObject;
  const given = constant === undefined ? values : [constant];
  const kinds = type !== undefined ? [type].flat() : Array.isArray(given) ? given.map(jsonKind) : ['anything'];
  return nullable === true ? [...kinds, 'null'] : kinds;
}

function jsonKind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function hasFewDigits(schema: JsonSchema): boolean {
  const step = typeof schema === 'boolean' ? undefined : schema['multipleOf'];
  return typeof step === 'number' && Number.isInteger(Math.round(step * 1e8) / 1e4) && step >= 0.0001;
}

function setOf(own: readonly LocatedSchema[], depth: number): Typed {
  const elements = own.map(({ schema, root }) => {
    const { items = true } = schema as SchemaObject;
    return typeOf({ schema: items, root }, '', depth + 1);
  });
  const [first, ...others] = elements;
  if (first === undefined || typeof first === 'string') return `of its members: ${String(first)}`;
  if (first.kind === 'Record' || first.kind === 'Set') return 'it is a list of lists or objects';
  if (others.some((other) => typeof other === 'string' || other.kind !== first.kind))
    return 'its members differ in type';
  return { kind: 'Set', element: first.kind };
}

function recordOf(at: LocatedSchema, depth: number): Typed {
  const attributes = attributesOf(at, depth);
  // The reasons of what is left out within are told with it.
  return attributes.size === 0 ? 'its members are not known' : { kind: 'Record', attributes };
}

function merge(before: Typed | undefined, typed: Typed, where: string): Typed {
  if (before === undefined) return typed;
  if (typeof before === 'string' || typeof typed === 'string') return typeof before === 'string' ? before : typed;
  if (before.kind === 'Record' && typed.kind === 'Record') {
    const attributes = new Map<string, Typed>(before.attributes);
    for (const [name, own] of typed.attributes) attributes.set(name, merge(attributes.get(name), own, where));
    return { kind: 'Record', attributes };
  }
  return canonical(before) === canonical(typed) ? before : `${where} means something else by it than another operation`;
}

/** Keeps what has a type, within the bounds of a schema; tells why of the rest. */
function settled(
  attributes: ReadonlyMap<string, Typed>,
  path: string,
  leftOut: Map<string, string>,
  budget: { left: number },
): GeneratedInput['type'] {
  const found = new Map<string, ArgumentType>();
  for (const [name, typed] of [...attributes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const own = path === '' ? name : `${path}.${name}`;
    if (typeof typed === 'string') {
      leftOut.set(own, typed);
      continue;
    }
    if (budget.left-- <= 0) {
      leftOut.set(own, `a schema declares at most ${MAX_ATTRIBUTES} arguments`);
      continue;
    }
    const type = typed.kind === 'Record' ? settled(typed.attributes, own, leftOut, budget) : typed;
    if (type.kind === 'Record' && type.attributes.size === 0) budget.left++;
    else found.set(name, type);
  }
  return { kind: 'Record', attributes: found };
}

/** The type as a Cedar schema writes it. */
export function written(type: ArgumentType, indent = ''): string {
  switch (type.kind) {
    case 'Record': {
      const deeper = `${indent}  `;
      const lines = [...type.attributes].map(
        ([name, own]) => `${deeper}${attributeName(name)}?: ${written(own, deeper)},\n`,
      );
      return lines.length === 0 ? '{}' : `{\n${lines.join('')}${indent}}`;
    }
    case 'Set':
      return `Set<${type.element}>`;
    default:
      return type.kind;
  }
}

function attributeName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : JSON.stringify(name);
}
