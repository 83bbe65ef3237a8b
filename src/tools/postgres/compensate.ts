/** Computes the input that would restore the captured state, where that is possible. Pure. */
import type { Json, JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import { displayName, parseName } from './catalog.js';
import { ROWS } from './definition.js';
import { classify } from './classify.js';
import type { PostgresInput } from './input.js';
import { same } from '../expected-rows.js';

/**
 * @returns the input of a `restore` of the changed or deleted rows, or of a `delete` of the inserted rows; undefined when nothing changed,
 *   or when one action cannot undo the change: a change of definition, or inserted rows together with changed ones
 */
export function compensationInput(
  input: PostgresInput,
  pre: State,
  post: State,
  schema: string,
): JsonObject | undefined {
  const table = tableOf(input, schema);
  // What other tables lost with it, one action could not give back.
  if (table === undefined || Object.keys(pre).some((name) => name !== table && !name.startsWith('$'))) return undefined;
  // Of rows that are recorded by their digest only, nothing can be put back.
  if (ROWS in pre) return undefined;
  const before = Object.entries(pre[table] ?? {}) as [string, Json][];
  const after = (post[table] ?? {}) as JsonObject;
  const captured = new Set(before.map(([key]) => key));
  const changed = before.filter(([key, row]) => !same(row, Object.hasOwn(after, key) ? after[key] : undefined));
  // A row that was changed to another key is there twice, if the old one is put back.
  const moved = !removes(input) && before.some(([key]) => !Object.hasOwn(after, key));
  if (moved) return undefined;
  // Other rows that match by now were not made by this action.
  const inserted = inserts(input) ? Object.keys(after).filter((key) => !captured.has(key)) : [];
  if (changed.length > 0 && inserted.length > 0) return undefined;
  if (inserted.length > 0) return { op: 'delete', table, keys: inserted };
  if (changed.length > 0) return { op: 'restore', table, rows: changed.map(([, row]) => row) };
  return undefined;
}

function inserts(input: PostgresInput): boolean {
  if (input.op !== 'sql') return ['insert', 'upsert', 'restore'].includes(input.op);
  return ['insert', 'compound'].includes(classify(input.sql).verb);
}

function removes(input: PostgresInput): boolean {
  if (input.op !== 'sql') return input.op === 'delete';
  return classify(input.sql).actionType === 'DELETE';
}

/** The one table whose rows the action changes. */
function tableOf(input: PostgresInput, schema: string): string | undefined {
  if (input.op === 'select' || input.op === 'describe') return undefined;
  if (input.op !== 'sql') return displayName(parseName(input.table), schema);
  const statement = classify(input.sql);
  if (statement.verb === 'compound') {
    const tables = new Set(statement.writes.map(({ target }) => displayName(target, schema)));
    return tables.size === 1 ? [...tables][0] : undefined;
  }
  if ('target' in statement) return displayName(statement.target, schema);
  // A truncate leaves the definition, so its rows can be restored. What a drop removed cannot be rebuilt from the catalog alone.
  if (statement.verb === 'truncate' && statement.targets.length === 1) {
    const [name] = statement.targets;
    return name === undefined ? undefined : displayName(name, schema);
  }
  return undefined;
}
