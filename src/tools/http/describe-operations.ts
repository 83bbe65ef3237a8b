/** The operations of the `http` tool, for models. */
import { z } from 'zod';
import type { OperationDescription } from '../../action/catalogue.js';
import type { JsonObject } from '../../action/json.js';
import type { Operation } from './operation.js';
import type { HttpOperation, HttpOptions, Schema } from './options.js';

const PARTS = ['path', 'query', 'headers', 'body'] as const;

export function describeOperations(
  { operations: declared }: HttpOptions,
  operations: ReadonlyMap<string, Operation>,
): readonly OperationDescription[] {
  return [...operations.values()].map((operation) => {
    const { name, method, url, actionType, idempotency } = operation;
    const described = declared[name]?.description ?? `Sends ${method} ${url.path}.`;
    return {
      operation: name,
      description: described,
      actionType,
      idempotent: actionType === 'READ' || (idempotency !== 'none' && method !== 'POST'),
      arguments: argumentsOf(operation, declared[name]?.input),
      fixed: { op: name },
    };
  });
}

function argumentsOf({ input, bodyOptional, url }: Operation, schemas: HttpOperation['input'] = {}): JsonObject {
  const parts = PARTS.filter((part) => input[part] !== undefined);
  const required = parts.filter((part) => (part === 'body' ? !bodyOptional : part === 'path'));
  const properties = parts.map((part) => {
    const schema = schemas[part] ?? (part === 'path' ? placeholders(url.references) : true);
    return [part, jsonSchemaOf(schema)] as const;
  });
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

function placeholders(references: readonly (readonly string[])[]): JsonObject {
  const names = [...new Set(references.map((reference) => reference.slice(1).join('.')))];
  const properties = Object.fromEntries(names.map((name) => [name, { type: ['string', 'integer'] }]));
  return { type: 'object', properties, required: names, additionalProperties: false };
}

function jsonSchemaOf(schema: Schema): boolean | JsonObject {
  if (!(schema instanceof z.ZodType)) return schema;
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonObject;
}
