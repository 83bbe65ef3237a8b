/** The state after a change as its rehearsal showed it, so that an expectation is judged before anything is done. */
import type { Json, JsonObject } from '../action/json.js';
import type { Rehearsal } from '../action/rehearsal.js';
import type { State } from '../action/snapshot.js';

/**
 * Applies the rehearsed rows to the state before the change. Undefined when the state after it is not known exactly: the rows are too many
 * to be shown one by one, or some of their values differ each time.
 */
export function rehearsedState(pre: State, { rows, varying }: Rehearsal): State | undefined {
  if (rows === undefined || Object.keys(varying).length > 0) return undefined;
  const tables = new Map<string, JsonObject>(Object.entries(pre) as [string, JsonObject][]);
  for (const [name, changes] of Object.entries(rows)) {
    const after = new Map<string, Json>(Object.entries(tables.get(name) ?? {}));
    for (const [key, row] of Object.entries(changes)) {
      if (row.after === null) after.delete(key);
      else after.set(key, row.after);
    }
    tables.set(name, Object.fromEntries(after));
  }
  return Object.fromEntries(tables);
}
