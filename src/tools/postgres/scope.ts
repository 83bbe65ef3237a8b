/** The tables that a tool may touch, from the catalog, and the tables that views read. */
import { CountersignError } from '../../action/errors.js';
import { displayName, INDEXES_SQL, RELATIONS_SQL, TABLES_SQL, tablesFrom, type Table } from './catalog.js';
import type { PostgresDatabase, Query } from './connection.js';
import { describeQuery } from './describe.js';
import { parseOne, refuseStatement } from './parser.js';
import { CODE_SQL, codeFrom, type DatabaseCode } from './rehearsal-safety.js';
import { usesOf, type QualifiedName, type Uses } from './uses.js';
import {
  checkAllowedFunctions,
  ALLOWED_FUNCTIONS_SQL,
  allowedFunctionsFrom,
  type AllowedFunctions,
  type TrustedFunctions,
} from './allowed-functions.js';

export interface ScopeOptions extends TrustedFunctions {
  readonly tool: string;
  /** The names of the covered tables, as `displayName` returns them; undefined: every table of the configured schema. */
  readonly tables: ReadonlySet<string> | undefined;
  /** How long the catalog is cached. Milliseconds. */
  readonly maxAgeMs: number;
}

interface Kept<T> {
  readonly value: T;
  /** When the value was cached, by the worker's clock. Milliseconds. */
  readonly since: number;
}

/** The most levels of views over views. */
const MAX_VIEW_DEPTH = 16;

export class SqlScope {
  readonly #database: PostgresDatabase;
  readonly #options: ScopeOptions;
  readonly #tables = new Map<string, Kept<Table>>();
  #allowedFunctions: Kept<AllowedFunctions> | undefined;
  #code: Kept<DatabaseCode> | undefined;

  constructor(database: PostgresDatabase, options: ScopeOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** Clears the cache, because the catalog was changed. */
  forget(): void {
    this.#tables.clear();
    this.#allowedFunctions = undefined;
    this.#code = undefined;
  }

  /** Makes a second attempt with a fresh catalog when the input does not fit the cached one. */
  async upToDate<T>(attempt: () => Promise<T>): Promise<T> {
    const started = Date.now();
    try {
      return await attempt();
    } catch (error) {
      const stale = [...this.#tables.values(), this.#allowedFunctions].some(
        (kept) => kept !== undefined && kept.since < started,
      );
      if (!stale || !(error instanceof CountersignError) || error.code !== 'INVALID_INPUT') throw error;
      this.forget();
      return await attempt();
    }
  }

  get schema(): string {
    return this.#options.schema;
  }

  display(name: QualifiedName): string {
    return displayName(name, this.#options.schema);
  }

  /** Whether the tool covers a table, so that an action may change it. */
  covers({ schema, name }: { readonly schema: string; readonly name: string }): boolean {
    const { tables } = this.#options;
    return tables === undefined ? schema === this.schema : tables.has(this.display({ schema, name }));
  }

  /**
   * Finds the tables of these names, in their order, all of which the tool must be allowed to touch.
   *
   * @throws CountersignError INVALID_INPUT
   */
  async tables(names: readonly QualifiedName[], field: string, signal: AbortSignal): Promise<readonly Table[]> {
    for (const name of names) this.#checkAllowed(name, field);
    const found = await this.#lookUp(names, signal);
    const missing = names.find((name) => !found.has(this.display(name)));
    if (missing !== undefined) throw await this.#noSuchTable(missing, field, signal);
    return names.flatMap((name) => found.get(this.display(name)) ?? []);
  }

  /** Describes tables, by default all. @throws CountersignError INVALID_INPUT for a table that the tool does not cover */
  async describe(names: readonly QualifiedName[] | undefined, signal: AbortSignal): Promise<Query> {
    const tables = names === undefined ? undefined : await this.tables(names, 'input.tables', signal);
    return describeQuery(
      this.#options,
      tables?.map((table) => table.name),
    );
  }

  /** Those of the names that exist. */
  async existing(names: readonly QualifiedName[], field: string, signal: AbortSignal): Promise<readonly Table[]> {
    for (const name of names) this.#checkAllowed(name, field);
    return [...(await this.#lookUp(names, signal)).values()];
  }

  /** Finds the tables of these indexes. An index that does not exist has none. */
  async tablesOfIndexes(names: readonly QualifiedName[], signal: AbortSignal): Promise<readonly QualifiedName[]> {
    const schemas = names.map((name) => name.schema ?? this.#options.schema);
    const query = { text: INDEXES_SQL, values: [schemas, names.map((name) => name.name)] };
    const [result] = await this.#database.read([query], signal);
    const found = (result?.rows ?? []).map(([schema, name]) => ({ schema: schema ?? '', name: name ?? '' }));
    if (found.length > 0) return found;
    throw new CountersignError(
      'INVALID_INPUT',
      `There is no index ${names.map((name) => this.display(name)).join(', ')}.`,
      {
        field: 'input.sql',
        expected: 'an index that exists',
        fix: 'Use the name of an index that exists.',
      },
    );
  }

  #checkAllowed(name: QualifiedName, field: string): void {
    const { tables, schema } = this.#options;
    const display = this.display(name);
    const outside = name.schema !== undefined && name.schema !== schema;
    // An unqualified name is looked up in pg_catalog first, where all names begin with pg_.
    const system = name.schema === undefined && name.name.startsWith('pg_');
    if (!system && (tables === undefined ? !outside : tables.has(display))) return;
    throw new CountersignError('INVALID_INPUT', `The tool ${this.#options.tool} does not cover the table ${display}.`, {
      field,
      expected: tables === undefined ? `a table of the schema ${schema}` : `one of ${[...tables].sort().join(', ')}`,
      fix: 'Use a table that the tool covers, or ask the operator to add this one to its tables.',
    });
  }

  async #lookUp(names: readonly QualifiedName[], signal: AbortSignal): Promise<Map<string, Table>> {
    const now = Date.now();
    const found = new Map<string, Table>();
    const unknown: QualifiedName[] = [];
    for (const name of names) {
      const kept = this.#tables.get(this.display(name));
      if (kept !== undefined && kept.since + this.#options.maxAgeMs > now) found.set(this.display(name), kept.value);
      else unknown.push(name);
    }
    if (unknown.length === 0) return found;
    const schemas = unknown.map((name) => name.schema ?? this.#options.schema);
    const query = { text: TABLES_SQL, values: [schemas, unknown.map((name) => name.name)] };
    const [result] = await this.#database.read([query], signal);
    for (const table of tablesFrom(
      (result?.rows ?? []).map((row) => row[0] ?? null),
      this.#options.schema,
    )) {
      found.set(table.name, table);
      this.#tables.set(table.name, { value: table, since: now });
    }
    return found;
  }

  async #noSuchTable(name: QualifiedName, field: string, signal: AbortSignal): Promise<CountersignError> {
    const { schema, tables } = this.#options;
    const [result] = await this.#database.read([{ text: RELATIONS_SQL, values: [name.schema ?? schema] }], signal);
    const existing = (result?.rows ?? [])
      .map((row) => this.display({ schema: name.schema ?? schema, name: row[0] ?? '' }))
      .filter((table) => tables === undefined || tables.has(table));
    return new CountersignError('INVALID_INPUT', `There is no table ${this.display(name)}.`, {
      field,
      expected: existing.length === 0 ? 'a table that exists' : `one of ${existing.join(', ')}`,
      fix: 'Use a table that exists.',
    });
  }

  /**
   * Finds everything that reading these tables reads: the tables themselves, and those behind views.
   *
   * @throws CountersignError STATEMENT_REFUSED when a view runs a function that is not known to be free of effects
   */
  async readable(tables: readonly Table[], signal: AbortSignal, depth = 0): Promise<Reads> {
    const names = new Set<string>();
    let clock = false;
    for (const table of tables) {
      if (table.kind === 'foreign table' || table.kind === 'other' || (table.mixed && table.kind === 'partitioned')) {
        throw refuseStatement(`${table.name} is not a plain table or view.`, 'tables and views of this database');
      }
      names.add(table.name);
      if (table.viewText === undefined) continue;
      if (depth >= MAX_VIEW_DEPTH) throw refuseStatement(`The view ${table.name} stands on too many views.`);
      const below = await this.#behindView(table, table.viewText, signal, depth);
      for (const name of below.names) names.add(name);
      clock ||= below.clock;
    }
    return { names, clock };
  }

  async #behindView(view: Table, text: string, signal: AbortSignal, depth: number): Promise<Reads> {
    const { type, node } = parseOne(text);
    const uses = usesOf(type, node);
    // The owner of a view decides what it shows, so the tool need not cover the tables behind it.
    const tables = await this.#lookUp(
      uses.tables.filter((name) => name.schema !== 'pg_catalog' && name.schema !== 'information_schema'),
      signal,
    );
    await this.checkUses(uses, [view, ...tables.values()], signal);
    const below = await this.readable([...tables.values()], signal, depth + 1);
    return { names: below.names, clock: below.clock || uses.clockInOutput };
  }

  /** Checks that a statement uses only allowed functions, operators and types. @throws CountersignError STATEMENT_REFUSED */
  async checkUses(uses: Uses, tables: readonly Table[], signal: AbortSignal): Promise<void> {
    const types = tables.flatMap((table) => table.typeOids);
    checkAllowedFunctions(uses, await this.#readAllowedFunctions(signal), this.#options, types);
  }

  /** The code that may run with a change: triggers, rules and the functions of the database. */
  async code(signal: AbortSignal): Promise<DatabaseCode> {
    const now = Date.now();
    const kept = this.#code;
    if (kept !== undefined && kept.since + this.#options.maxAgeMs > now) return kept.value;
    const [result] = await this.#database.read([{ text: CODE_SQL }], signal);
    const value = codeFrom(result?.rows[0]?.[0] ?? null);
    this.#code = { value, since: now };
    return value;
  }

  async #readAllowedFunctions(signal: AbortSignal): Promise<AllowedFunctions> {
    const now = Date.now();
    const kept = this.#allowedFunctions;
    if (kept !== undefined && kept.since + this.#options.maxAgeMs > now) return kept.value;
    const [result] = await this.#database.read(
      [{ text: ALLOWED_FUNCTIONS_SQL, values: [this.#options.schema, [...this.#options.trustedExtensions]] }],
      signal,
    );
    const value = allowedFunctionsFrom(result?.rows[0]?.[0] ?? null);
    this.#allowedFunctions = { value, since: now };
    return value;
  }
}

export interface Reads {
  readonly names: ReadonlySet<string>;
  /** Whether a view depends on the clock. */
  readonly clock: boolean;
}
