/** What agents could propose to a tool that describes its operations: inputs that are made of their schemas. */
import { inputOf, type OperationDescription } from '../../action/catalogue.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { Tool } from '../../tools/tool.js';
import type { Candidate } from './candidate.js';

/** More operations would give more of the same. */
const MOST_OPERATIONS = 40;

const DEEPEST = 8;

/** Reads come last. */
export function operationCandidates(tool: Tool): readonly Candidate[] {
  const operations = (tool.describe?.() ?? []).slice(0, MOST_OPERATIONS);
  const changing = operations.filter(({ actionType }) => actionType !== 'READ');
  const reading = operations.filter(({ actionType }) => actionType === 'READ');
  return [...changing, ...reading].map((operation) => candidateOf(tool.name, operation));
}

function candidateOf(tool: string, operation: OperationDescription): Candidate {
  return {
    tool,
    what: operation.operation,
    actionType: operation.actionType,
    input: (n) => inputOf(operation, objectOf(sampleOf(operation.arguments, n))),
  };
}

function objectOf(value: Json): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** A value that fits a JSON Schema, as far as its usual keywords say. What does not fit after all, the tool refuses. */
export function sampleOf(schema: Json | undefined, n: number, depth = 0): Json {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema) || depth > DEEPEST) return `prove-${n}`;
  const {
    const: constant,
    enum: choices,
    examples,
    default: standard,
    type,
    anyOf,
    oneOf,
    allOf,
  } = schema as JsonObject;
  if (constant !== undefined) return constant;
  if (Array.isArray(choices)) return (choices as readonly Json[])[0] ?? null;
  if (Array.isArray(examples) && examples.length > 0) return (examples as readonly Json[])[n % examples.length] ?? null;
  const alternative = firstOf(anyOf) ?? firstOf(oneOf) ?? firstOf(allOf);
  const kind = Array.isArray(type) ? (type as readonly Json[])[0] : type;
  if (kind === undefined && alternative !== undefined) return sampleOf(alternative, n, depth + 1);
  if (standard !== undefined && kind !== 'object') return standard;
  switch (kind) {
    case 'object':
      return sampleObject(schema as JsonObject, n, depth);
    case 'array':
      return sampleArray(schema as JsonObject, n, depth);
    case 'integer':
    case 'number':
      return sampleNumber(schema as JsonObject);
    case 'boolean':
      return false;
    case 'null':
      return null;
    default:
      return (schema as JsonObject)['properties'] === undefined
        ? sampleText(schema as JsonObject, n)
        : sampleObject(schema as JsonObject, n, depth);
  }
}

function firstOf(list: Json | undefined): Json | undefined {
  return Array.isArray(list) ? (list as readonly Json[])[0] : undefined;
}

/** What is optional stays away: it may mean something. */
function sampleObject({ properties, required }: JsonObject, n: number, depth: number): JsonObject {
  const wanted = Array.isArray(required) ? (required as readonly Json[]).map(String) : [];
  const known = objectOf(properties ?? {});
  return Object.fromEntries(wanted.map((name): [string, Json] => [name, sampleOf(known[name], n, depth + 1)]));
}

function sampleArray({ items, minItems }: JsonObject, n: number, depth: number): Json {
  return Array.from({ length: Math.max(1, Number(minItems ?? 1)) }, (_, at) => sampleOf(items, n + at, depth + 1));
}

function sampleNumber({ minimum, exclusiveMinimum, maximum, multipleOf }: JsonObject): number {
  const least = typeof minimum === 'number' ? minimum : typeof exclusiveMinimum === 'number' ? exclusiveMinimum + 1 : 1;
  const stepped = typeof multipleOf === 'number' ? Math.ceil(least / multipleOf) * multipleOf : least;
  return typeof maximum === 'number' ? Math.min(stepped, maximum) : stepped;
}

function sampleText({ format, minLength, maxLength }: JsonObject, n: number): string {
  switch (format) {
    case 'uuid':
      return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    case 'email':
      return `prove-${n}@example.com`;
    case 'uri':
      return `https://example.com/prove-${n}`;
    case 'date':
      return '2026-01-01';
    case 'date-time':
      return '2026-01-01T12:00:00Z';
    default: {
      const text = `prove-${n}`.padEnd(Number(minLength ?? 0), 'x');
      return typeof maxLength === 'number' ? text.slice(-maxLength) : text;
    }
  }
}
