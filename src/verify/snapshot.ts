/** Turns a captured state into the snapshot that history carries. A state that is too large is returned separately, for the ledger. */
import { assertJson, canonical, digestText } from '../action/json.js';
import type { Snapshot, State } from '../action/snapshot.js';

/** A state whose canonical text has more bytes than this does not go into history. */
export const MAX_SNAPSHOT_BYTES = 64 * 1024;

export interface TakenSnapshot {
  readonly snapshot: Snapshot;
  /** The state, when it is not in the snapshot: the ledger keeps it under the snapshot's digest. */
  readonly large?: State;
}

/**
 * Makes the snapshot of a captured state. `tookMs` is how long reading it took, in milliseconds.
 *
 * @throws CountersignError INVALID_NUMBER, INVALID_TEXT or INVALID_JSON when the tool captured what JSON cannot represent exactly:
 *   a Date, an integer beyond 2^53, a NUL byte, a key `__proto__`
 */
export function takeSnapshot(state: State, tookMs: number): TakenSnapshot {
  assertJson(state, 'state');
  const text = canonical(state);
  const about = { digest: digestText(text), count: countRows(state), tookMs };
  if (Buffer.byteLength(text) > MAX_SNAPSHOT_BYTES) return { snapshot: about, large: state };
  return { snapshot: { state, ...about } };
}

/** Counts the rows of all tables. A table that is a list counts its items; one that is a single value counts as one. */
function countRows(state: State): number {
  let rows = 0;
  for (const table of Object.values(state)) {
    rows += typeof table === 'object' && table !== null ? Object.keys(table).length : 1;
  }
  return rows;
}
