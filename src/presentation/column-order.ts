/** Puts columns into the order in which people know them. */
import type { JsonObject } from '../action/json.js';

/** The names in the order of `known`; those that it does not have come last, as they are. */
export function inOrder(names: readonly string[], known: readonly string[]): readonly string[] {
  const present = new Set(names);
  return [...new Set([...known.filter((name) => present.has(name)), ...names])];
}

/** The row with its columns in the order of `known`. */
export function rowInOrder(row: JsonObject, known: readonly string[]): JsonObject {
  return Object.fromEntries(inOrder(Object.keys(row), known).map((name) => [name, row[name] ?? null]));
}
