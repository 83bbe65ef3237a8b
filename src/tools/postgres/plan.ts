/** Plans: the statement of an input, the rows that it matches, and everything that must be checked. */
import type { Assignment } from './assignment.js';
import type { AssignedColumns } from './assigned-columns.js';
import type { Table } from './catalog.js';
import type { RowVerb } from './classify.js';
import type { Query } from './connection.js';
import type { DefinitionPlan } from './definition.js';
import type { Row } from './rows.js';

/** The plan of a read. */
export interface ReadPlan {
  readonly kind: 'read';
  readonly query: Query;
  readonly reads: readonly string[];
  /** Whether the order of the rows is the same each time. */
  readonly ordered: boolean;
  /** Whether the result depends on the clock. */
  readonly clock: boolean;
  /** The most rows that it returns, where the input says so, and the query for one row more, which tells whether there are more. */
  readonly page?: { readonly limit: number; readonly withOneMore: Query };
  /** Whether it is an EXPLAIN, which cannot stand within another query. */
  readonly explains?: boolean;
}

/** The plan of a change of rows of one table. */
export interface RowPlan {
  readonly kind: 'rows';
  readonly verb: RowVerb | 'restore';
  readonly table: Table;
  readonly reads: readonly string[];
  /** The statement. It returns the key of every changed row, after its own RETURNING columns. */
  readonly statement: Query;
  /** The rows that it matches now. For an insert, those that already have a given key; undefined when no key is given. */
  readonly matching: Query | undefined;
  /** One row for each combination in which the join of an update matches a row. */
  readonly matches: Query | undefined;
  /** Queries that fail if the server would refuse the statement or a value. */
  readonly examination: readonly Query[];
  /** The rows that an `INSERT … SELECT` inserts, and their columns when they are named. */
  readonly source: Query | undefined;
  readonly sourceColumns: readonly string[] | undefined;
  /** The given rows of an insert or restore, for people. */
  readonly given: readonly Row[];
  /** The columns that an update sets. */
  readonly columns: readonly string[];
  readonly assignment: Assignment | undefined;
  readonly assigned: AssignedColumns;
  readonly clock: boolean;
  /** Why queries cannot tell what it changes, so that it must be rehearsed; undefined when they can. */
  readonly onlyRehearsed: string | undefined;
  /** Whether foreign keys may change rows of other tables with it. */
  readonly cascades: boolean;
}

/** The plan of a change whose rows are found by rehearsing it. */
export interface RehearsedPlan {
  readonly kind: 'rehearsed';
  readonly statement: Query;
  /** How many columns of the statement's result are not the agent's, at its end; undefined when none of them is. */
  readonly hidden: number | undefined;
  /** The tables that the statement names as written. */
  readonly targets: readonly Table[];
  readonly reads: readonly string[];
  /** What the statement sets, by table. */
  readonly assigned: ReadonlyMap<string, AssignedColumns>;
  /** The plan by queries, of a change of one table. */
  readonly rows: RowPlan | undefined;
  readonly onlyRehearsed: string | undefined;
}

export type ChangePlan = ReadPlan | RowPlan | RehearsedPlan | DefinitionPlan;
