/** What a change did when it was tried: it was made in a transaction that was rolled back, before anybody decided on it. */
import type { Digest, JsonObject } from './json.js';

/** How many different rows of a table a change wrote. */
export interface ChangedRows {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** A row before and after the change; null where it did not exist. A value that differs each time is `{"$varies": true}`. */
export interface RehearsedRow {
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

export interface Rehearsal {
  /** The changed rows by table, also of tables that triggers and foreign keys changed. */
  readonly tables: Readonly<Record<string, ChangedRows>>;
  /** Over all changed rows, before and after, without the values that differ each time. */
  readonly digest: Digest;
  /** The columns whose new values differ each time, by table: clocks, sequences, random values. They are compared by presence only. */
  readonly varying: Readonly<Record<string, readonly string[]>>;
  /** The rows by table and key, when there are few of them. */
  readonly rows?: Readonly<Record<string, Readonly<Record<string, RehearsedRow>>>>;
}
