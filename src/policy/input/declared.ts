/**
 * Builds `context.input`: the part of a tool's input that the policy's schema declares. A forbid may fail to match when an attribute is
 * absent, so a value of a wrong type is an error and is never left out.
 */
import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { assertJson, canonicalBytes, type Json, type JsonObject } from '../../action/json.js';
import type { InputRecord, InputType, ScalarKind } from './type.js';

/** The largest declared input that is recorded with a decision. Bytes of canonical JSON. */
const MAX_BYTES = 16 * 1024;
const ROOT = 'proposal.input';

/**
 * The declared part of an input, as it is recorded in the facts. Values that are not of their declared type are included unchanged:
 * `inputContext` refuses them, now and whenever the recorded facts are evaluated again.
 *
 * @throws CountersignError POLICY_ERROR when it is over 16 KiB or not JSON
 */
export function declaredInput(type: InputRecord, input: unknown): JsonObject {
  if (!isPlain(input)) throw mistyped(ROOT, input, type);
  const declared = declaredPart(type, input);
  try {
    assertJson(declared, ROOT);
  } catch (thrown) {
    const { message, field = ROOT, expected = 'plain JSON', fix = '' } = asCountersignError(thrown);
    throw unusable(field, message, expected, fix, thrown);
  }
  const bytes = canonicalBytes(declared);
  if (bytes <= MAX_BYTES) return declared;
  // When a value of a wrong type makes it too large, that error is more helpful.
  inputContext(type, declared);
  throw unusable(
    ROOT,
    `${ROOT} has ${bytes} bytes that the policy declares`,
    `at most ${MAX_BYTES} bytes of what schema.cedarschema declares`,
    'Send less, or declare less of it.',
  );
}

/** Converts the declared part to Cedar values. @throws CountersignError POLICY_ERROR naming the first value of a wrong type */
export function inputContext(type: InputRecord, declared: JsonObject): Record<string, CedarValueJson> {
  return recordValue(type, declared, ROOT);
}

/** A sample input that has every attribute of the type. */
export function sampleInput({ attributes }: InputRecord): JsonObject {
  return Object.fromEntries([...attributes].map(([name, type]) => [name, sample(type)]));
}

/** Removes what is not declared. A value that is not a plain object where a record is declared stays unchanged, and is refused later. */
function declaredPart({ attributes }: InputRecord, value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const found: [string, unknown][] = [];
  for (const [name, type] of attributes) {
    const item = Object.hasOwn(value, name) ? value[name] : undefined;
    if (item === undefined) continue;
    found.push([name, type.kind === 'Record' && isPlain(item) ? declaredPart(type, item) : item]);
  }
  return Object.fromEntries(found);
}

function cedarValue(type: InputType, value: unknown, path: string): CedarValueJson {
  switch (type.kind) {
    case 'Record':
      return recordValue(type, value, path);
    case 'Set':
      if (!Array.isArray(value)) throw mistyped(path, value, type);
      return value.map((item, index) => scalarValue(type.element, item, `${path}[${index}]`));
    default:
      return scalarValue(type.kind, value, path);
  }
}

function recordValue(type: InputRecord, value: unknown, path: string): Record<string, CedarValueJson> {
  if (!isPlain(value)) throw mistyped(path, value, type);
  const found: [string, CedarValueJson][] = [];
  for (const [name, own] of type.attributes) {
    if (Object.hasOwn(value, name)) found.push([name, cedarValue(own, value[name], `${path}.${name}`)]);
  }
  return Object.fromEntries(found);
}

function scalarValue(kind: ScalarKind, value: unknown, path: string): CedarValueJson {
  switch (kind) {
    case 'String':
      // A lone surrogate would throw inside Cedar's module, and each such throw costs the instance some of its stack.
      if (typeof value === 'string' && value.isWellFormed() && !value.includes('\u0000')) return value;
      break;
    case 'Bool':
      if (typeof value === 'boolean') return value;
      break;
    case 'Long':
      // Turns -0, which is no integer to Cedar, into 0.
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value + 0;
      break;
    case 'decimal': {
      const text = decimalText(value);
      if (text !== undefined) return { __extn: { fn: 'decimal', arg: text } };
    }
  }
  throw mistyped(path, value, { kind });
}

/** The largest decimal. Cedar's range ends at ±922337203685477.5807, where a JSON number is too coarse for the last fraction. */
const MAX_DECIMAL = 922_337_203_685_477;
const DECIMAL = /^-?\d+(?:\.\d{1,4})?$/;

/** The number exactly as JSON writes it, so that the value that the tool sends is the one that is compared. */
function decimalText(value: unknown): string | undefined {
  if (typeof value !== 'number' || !(Math.abs(value) <= MAX_DECIMAL)) return undefined;
  const text = String(value);
  if (!DECIMAL.test(text)) return undefined;
  return text.includes('.') ? text : `${text}.0`;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const EXPECTED: Readonly<Record<InputType['kind'], string>> = {
  String: 'a text',
  Long: 'a whole number within ±(2^53-1)',
  Bool: 'true or false',
  decimal: `a number with at most 4 fractional digits, within ±${MAX_DECIMAL}`,
  Set: 'a list',
  Record: 'an object',
};

/** The error for a value of a wrong type. It names the kind of the value but not the value, which may be confidential. */
function mistyped(path: string, value: unknown, { kind }: InputType | { readonly kind: ScalarKind }): CountersignError {
  const expected = EXPECTED[kind];
  return unusable(
    path,
    `${path} is ${describe(value)}, not ${expected}, as the policy's schema declares it`,
    expected,
    `Send ${expected} or leave it out; if the tool means something else by it, declare that in schema.cedarschema.`,
  );
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function unusable(field: string, message: string, expected: string, fix: string, cause?: unknown): CountersignError {
  return new CountersignError('POLICY_ERROR', message, {
    field,
    expected,
    fix,
    ...(cause === undefined ? {} : { cause }),
  });
}

function sample(type: InputType): Json {
  switch (type.kind) {
    case 'Record':
      return sampleInput(type);
    case 'Set':
      return [sample({ kind: type.element })];
    case 'String':
      return 'text';
    case 'Long':
      return 1;
    case 'Bool':
      return true;
    case 'decimal':
      return 1.5;
  }
}
