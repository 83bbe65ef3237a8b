/** Compares rows or objects with what was expected, for the checks that tools derive. */
import { canonical, type Json, type JsonObject } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { State } from '../action/snapshot.js';

/** How many differences a check describes; it only counts the others. */
const SHOWN = 5;

/** The longest part of a value that is shown, in characters. */
const MAX_VALUE = 80;

/** The members that each row or object must have, by table and key. Null means that it must not exist. */
export type ExpectedRows = Readonly<Record<string, Readonly<Record<string, JsonObject | null>>>>;

/**
 * Makes the check `derived` of a tool that expects these rows or objects. Its detail counts those as expected and describes the rest:
 * `3 of 5 rows are as expected; orders/7.status is "open", expected "closed"; …`.
 */
export function checkExpectedRows(expected: ExpectedRows, post: State): Check {
  let total = 0;
  const wrong: string[][] = [];
  for (const [table, rows] of Object.entries(expected)) {
    for (const [key, row] of Object.entries(rows)) {
      total++;
      const problems = problemsOf(`${table}/${key}`, row, rowIn(post, table, key));
      if (problems.length > 0) wrong.push(problems);
    }
  }
  if (wrong.length === 0) return { name: 'derived', ok: true };
  return check('derived', wrong.flat(), countOf(total - wrong.length, total));
}

function problemsOf(place: string, row: JsonObject | null, actual: Json | undefined): string[] {
  if (row === null) return actual === undefined ? [] : [`${place} is there, expected to be gone`];
  if (actual === undefined) return [`${place} is not there, expected to be`];
  return Object.entries(row)
    .filter(([name, value]) => !same(memberOf(actual, name), value))
    .map(([name, value]) => differs(place, name, value, memberOf(actual, name)));
}

/** Counts in words: `3 of 5 rows are as expected`. */
export function countOf(good: number, total: number): string {
  return `${good} of ${total} ${total === 1 ? 'row is' : 'rows are'} as expected`;
}

const NONE: ReadonlySet<string> = new Set();

/** Describes a difference: `orders/7.status is "open", expected "closed"`. */
export function differs(
  place: string,
  name: string,
  expected: Json | undefined,
  actual: Json | undefined,
  secret: ReadonlySet<string> = NONE,
): string {
  if (secret.has(name)) return `${place}.${name}, a secret column, is not as expected`;
  return `${place}.${name} is ${shown(actual)}, expected ${shown(expected)}`;
}

export function shown(value: Json | undefined): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE).toWellFormed()}…` : text;
}

export function same(one: Json | undefined, other: Json | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return canonical(one) === canonical(other);
}

/** Makes a check that holds when there are no problems. Its detail has the count, if given, and the first problems. */
export function check(name: string, problems: readonly string[], count?: string): Check {
  if (problems.length === 0) return { name, ok: true };
  const more = problems.length > SHOWN ? [`and ${problems.length - SHOWN} more`] : [];
  const parts = [...(count === undefined ? [] : [count]), ...problems.slice(0, SHOWN), ...more];
  return { name, ok: false, detail: parts.join('; ') };
}

function rowIn(state: State, table: string, key: string): Json | undefined {
  return memberOf(Object.hasOwn(state, table) ? state[table] : undefined, key);
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
    return undefined;
  return (value as JsonObject)[name];
}
