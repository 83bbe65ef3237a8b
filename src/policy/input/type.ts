/** Reads from the schema which arguments of a tool's input it declares, in the context's attribute `input`. Checked once, at load. */
import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType } from '../../action/decision.js';
import type { Cedar } from '../cedar.js';
import type { BundleProblem } from '../problems.js';

export type ScalarKind = 'String' | 'Long' | 'Bool' | 'decimal';

export type InputType =
  { readonly kind: ScalarKind } | { readonly kind: 'Set'; readonly element: ScalarKind } | InputRecord;

export interface InputRecord {
  readonly kind: 'Record';
  /** The attributes, ordered by name. */
  readonly attributes: ReadonlyMap<string, InputType>;
}

/** The most attributes of one `input`, including those of nested records. More are a mistake, or types that multiply each other. */
const MAX_ATTRIBUTES = 256;
/** The deepest nesting: deeper than the input of any tool, and far from where Cedar overflows its stack. */
const MAX_DEPTH = 16;
const SCALARS: Readonly<Record<string, ScalarKind>> = {
  String: 'String',
  Long: 'Long',
  Bool: 'Bool',
  Boolean: 'Bool',
  decimal: 'decimal',
};
/** Attribute names that have another meaning in Cedar's JSON, or that a proposal may not contain. */
const RESERVED = new Set(['__entity', '__extn', '__expr', '__proto__']);

/** A type in a schema whose names Cedar has resolved. */
interface TypeJson {
  readonly type: string;
  readonly name?: string;
  readonly element?: TypeJson;
  readonly attributes?: Readonly<Record<string, AttributeJson>>;
}

interface AttributeJson extends TypeJson {
  /** Whether the attribute is required. Default true. */
  readonly required?: boolean;
}

/**
 * The declared input of each action type whose context has `input`; no entry where it has none. Its type is a record of optional
 * attributes of the types String, Long, Bool, decimal, a Set of one of these, or such a record again. Anything else goes to `problems`.
 */
export function inputTypes(
  cedar: Cedar,
  schema: string,
  problems: BundleProblem[],
  at: string,
): ReadonlyMap<ActionType, InputRecord> {
  const found = new Map<ActionType, InputRecord>();
  const result = cedar.schemaToJsonWithResolvedTypes(schema);
  if (result.type === 'failure') {
    // Usually the problems were already found when the schema was first read.
    const message = result.errors.map((error) => error.message).join('; ');
    if (problems.length === 0) problems.push({ at, message, fix: 'Correct the schema.' });
    return found;
  }
  const reported = new Set<string>();
  for (const actionType of ACTION_TYPES) {
    const applies = result.json['Countersign']?.actions[actionType]?.appliesTo as { context?: TypeJson } | undefined;
    const context = follow(result.json, applies?.context);
    const declared =
      context?.attributes !== undefined && Object.hasOwn(context.attributes, 'input')
        ? context.attributes['input']
        : undefined;
    if (declared === undefined) continue;
    try {
      found.set(actionType, new Reader(result.json).input(declared));
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      // The four action types usually share one context.
      if (!reported.has(error.message))
        problems.push({ at, message: error.message, expected: error.expected, fix: error.fix });
      reported.add(error.message);
    }
  }
  return found;
}

/** A declaration that is not possible for an input. */
class Unusable extends Error {
  readonly expected: string;
  readonly fix: string;
  constructor(path: string, problem: string, expected: string, fix: string) {
    super(`${path} ${problem}`);
    this.expected = expected;
    this.fix = fix;
  }
}

const TYPES = 'String, Long, Bool, decimal, a Set of one of these, or a record of optional attributes';

class Reader {
  readonly #schema: SchemaJson<string>;
  #attributes = 0;

  constructor(schema: SchemaJson<string>) {
    this.#schema = schema;
  }

  input(declared: TypeJson): InputRecord {
    const type = this.#type('input', declared, 0);
    if (type.kind === 'Record') return type;
    throw new Unusable('input', `is a ${type.kind}`, 'a record of optional attributes', 'Declare type Input = { … };');
  }

  #type(path: string, declared: TypeJson | undefined, depth: number): InputType {
    const type = follow(this.#schema, declared);
    if (type?.type === 'Record') return this.#record(path, type.attributes ?? {}, depth);
    if (type?.type === 'Set') {
      const element = scalar(follow(this.#schema, type.element));
      if (element !== undefined) return { kind: 'Set', element };
    }
    const kind = scalar(type);
    if (kind !== undefined) return { kind };
    const what = type?.type === 'Set' ? 'a Set of something else' : (type?.name ?? type?.type ?? 'unknown');
    throw new Unusable(
      path,
      `is ${what}, which no part of an input can be`,
      TYPES,
      `Declare ${path} as one of these types.`,
    );
  }

  #record(path: string, attributes: Readonly<Record<string, AttributeJson>>, depth: number): InputRecord {
    const found = new Map<string, InputType>();
    for (const [name, attribute] of Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const own = `${path}.${name}`;
      if (++this.#attributes > MAX_ATTRIBUTES || depth >= MAX_DEPTH) {
        const most = `at most ${MAX_ATTRIBUTES} attributes, records within records at most ${MAX_DEPTH} deep`;
        throw new Unusable('input', 'declares too much', most, 'Declare only what policies ask for.');
      }
      if (RESERVED.has(name)) {
        throw new Unusable(own, 'has a name that Cedar keeps for itself', 'another name', `Leave ${name} out.`);
      }
      if (attribute.required !== false) {
        throw new Unusable(
          own,
          'is not optional',
          `${name}?: …`,
          'Put a ? behind its name: nothing obliges an input to have it.',
        );
      }
      found.set(name, this.#type(own, attribute, depth + 1));
    }
    return { kind: 'Record', attributes: found };
  }
}

/** Resolves a named type, over several names if need be. Cedar refuses cyclic names. */
function follow(schema: SchemaJson<string>, type: TypeJson | undefined): TypeJson | undefined {
  let at = type;
  for (let next = at; next !== undefined; next = commonType(schema, next.type)) at = next;
  return at;
}

function commonType(schema: SchemaJson<string>, name: string): TypeJson | undefined {
  const split = name.lastIndexOf('::');
  const types = schema[split < 0 ? '' : name.slice(0, split)]?.commonTypes ?? {};
  const own = split < 0 ? name : name.slice(split + 2);
  return Object.hasOwn(types, own) ? types[own] : undefined;
}

function scalar(type: TypeJson | undefined): ScalarKind | undefined {
  const name = type?.type.replace(/^__cedar::/, '') ?? '';
  return Object.hasOwn(SCALARS, name) ? SCALARS[name] : undefined;
}
