/** Says which rows or objects differ from what was expected, and in what, for the checks that tools derive. */
import { canonical, type Json, type JsonObject } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { State } from '../action/snapshot.js';

/** Differences that a check spells out; the others are counted. */
const SHOWN = 5;

/** Characters of one value that are shown. */
const MAX_VALUE = 80;

/** What a row or object is to hold, by its members; null: it is to be gone. */
export type ExpectedRows = Readonly<Record<string, Readonly<Record<string, JsonObject | null>>>>;

/**
 * The check `derived` of a tool that expects these rows or objects. Its detail counts what is as expected and names the rest:
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

/** `3 of 5 rows are as expected`. */
export function countOf(good: number, total: number): string {
  return `${good} of ${total} ${total === 1 ? 'row is' : 'rows are'} as expected`;
}

/** `orders/7.status is "open", expected "closed"`. */
export function differs(place: string, name: string, expected: Json | undefined, actual: Json | undefined): string {
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

/** A check that holds when there are no problems; of many, the first are named, after the count if there is one. */
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
