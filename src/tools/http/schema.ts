/** Validates values by JSON Schema or zod, with one interface. */
import { Ajv2020, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { addLazyDefinitions, lazily } from './lazy-definitions.js';
import type { Schema } from './options.js';

export interface SchemaProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** Returns the problems of a value; empty when it is valid. Never changes the value. */
export type Validate = (value: unknown) => readonly SchemaProblem[];

/** Compiles a schema. @throws CountersignError CONFIG_INVALID when the schema itself is invalid */
export function compileSchema(schema: Schema, field: string): Validate {
  if (schema instanceof z.ZodType) return (value) => zodProblems(schema, value);
  let validate: ValidateFunction;
  try {
    validate = compiled(schema);
  } catch (error) {
    throw new CountersignError('CONFIG_INVALID', `${field} is not a JSON Schema: ${(error as Error).message}`, {
      field,
      expected: 'JSON Schema 2020-12 with references into itself only, or a zod schema',
      fix: 'Correct the schema.',
    });
  }
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map(ajvProblem));
}

function compiled(schema: boolean | JsonObject): ValidateFunction {
  const compile = (one: AnySchema): ValidateFunction => ajv().compile(one);
  const lazy = typeof schema === 'boolean' ? undefined : lazily(schema, compile);
  if (lazy === undefined) return compile(schema);
  // The definitions are checked now, although they are compiled later.
  const problem = schemaProblem(schema);
  if (problem !== undefined) throw new TypeError(problem);
  return compile(lazy);
}

/** Why a schema is no JSON Schema; undefined when it is one. It is not compiled, which takes long for a large one. */
export function schemaProblem(schema: Schema): string | undefined {
  if (schema instanceof z.ZodType || ajv().validateSchema(schema) === true) return undefined;
  const [error] = ajv().errors ?? [];
  return `${error?.instancePath ?? ''} ${error?.message ?? 'is not valid'}`.trim();
}

/** The shared validator, which is expensive to create. */
let shared: Ajv2020 | undefined;

function ajv(): Ajv2020 {
  if (shared !== undefined) return shared;
  // Not strict, because schemas from OpenAPI documents have other keywords too. It stops at the first error, which bounds the work.
  shared = new Ajv2020({
    strict: false,
    allErrors: false,
    logger: false,
    ownProperties: true,
    addUsedSchema: false,
    // Optimizing takes longer than all the validations of most operations.
    code: { optimize: false },
  });
  formats.default(shared);
  addLazyDefinitions(shared);
  return shared;
}

function ajvProblem({ instancePath, message, params }: ErrorObject): SchemaProblem {
  const surplus = (params as { additionalProperty?: string }).additionalProperty;
  const text = `${message ?? 'does not fit'}${surplus === undefined ? '' : ` (${JSON.stringify(surplus.slice(0, 64))})`}`;
  return { path: instancePath.split('/').slice(1), message: text };
}

function zodProblems(schema: z.ZodType, value: unknown): readonly SchemaProblem[] {
  const parsed = schema.safeParse(value);
  if (parsed.success) return [];
  return parsed.error.issues.map(({ path, message }) => ({ path: path.map(String), message }));
}
