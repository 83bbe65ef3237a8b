/** What the radar of a database is to watch, and a table of it as the catalog has it. */

/** What is to be watched. */
export interface WatchedTables {
  readonly tool: string;
  readonly schema: string;
  /** Names, of which the schema may be left out. Undefined: every table of the schema. */
  readonly tables: readonly string[] | undefined;
  /** Tables of the schema that triggers write. */
  readonly except: ReadonlySet<string>;
  readonly effectsSchema: string;
  readonly triggers: boolean;
}

/** A table as the catalog has it. */
export interface CoveredTable {
  readonly name: string;
  readonly oid: string;
  readonly sql: string;
  readonly persistent: boolean;
  /** Whether the log tells one row from another in updates and deletes. */
  readonly identified: boolean;
  /** The publication of these that has it. `whole`: all of its rows and columns. */
  readonly publication: { readonly name: string; readonly whole: boolean } | undefined;
  /** Itself and its partitions without the trigger that says who writes. As they stand in SQL. */
  readonly silent: readonly string[];
}
