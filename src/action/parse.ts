/** Strict readers for JSON and YAML texts that come from outside: the same key twice or an inexact number is an error. */
import { parse as parseLossless, isSafeNumber } from 'lossless-json';
import { isScalar, parseDocument, visit } from 'yaml';
import { CountersignError } from './errors.js';
import { assertJson, type Json } from './json.js';

/**
 * Parses JSON, refusing duplicate keys and numbers that a double cannot carry.
 *
 * @throws CountersignError INVALID_JSON, INVALID_NUMBER or INVALID_TEXT
 */
export function parseJson(text: string, name: string): Json {
  let value: unknown;
  try {
    value = parseLossless(text, null, {
      parseNumber: (number) => toNumber(number, name),
      onDuplicateKey: ({ key }) => {
        throw new CountersignError('INVALID_JSON', `${name} has the key ${JSON.stringify(key)} twice in one object`, {
          field: name,
          expected: 'each key once',
          fix: `Remove one of the two ${JSON.stringify(key)}.`,
        });
      },
    });
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw new CountersignError('INVALID_JSON', `${name} is not JSON: ${(error as Error).message}`, {
      field: name,
      expected: 'JSON text (RFC 8259)',
      fix: 'Check quotes, commas and brackets at the place named.',
      cause: error,
    });
  }
  assertJson(value, name);
  return value;
}

function toNumber(text: string, name: string): number {
  if (!isSafeNumber(text, { approx: true })) {
    throw new CountersignError(
      'INVALID_NUMBER',
      `${name} holds a number that JSON cannot carry exactly: ${text.slice(0, 24)}…`,
      {
        field: name,
        expected: 'a number that a 64-bit float carries',
        fix: 'Send large or exact numbers as strings.',
      },
    );
  }
  return Number(text);
}

/**
 * Reads YAML 1.2 (core schema), refusing duplicate keys, keys that are lists or maps, aliases that multiply, and unknown tags. The caller checks the values that it uses:
 * documents of others hold numbers, in places that do not matter, which JSON cannot carry exactly.
 *
 * @throws CountersignError INVALID_YAML with line and column in the message
 */
export function readYaml(text: string, name: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, strict: true, prettyErrors: true, version: '1.2' });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new CountersignError('INVALID_YAML', `${name}: ${problem.message}`, {
      field: name,
      expected: 'YAML 1.2 with each key once',
      fix: 'Correct the line named.',
      cause: problem,
    });
  }
  visit(document, {
    Pair(_at, { key }) {
      if (isScalar(key)) return;
      // Two such keys could become one text, and the later one would hide the earlier.
      throw new CountersignError('INVALID_YAML', `${name} has a key that is a list, a map or an alias`, {
        field: name,
        expected: 'texts, numbers, true or false as keys',
        fix: 'Write the key as a text.',
      });
    },
  });
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw new CountersignError('INVALID_YAML', `${name}: ${(error as Error).message}`, { field: name, cause: error });
  }
}
