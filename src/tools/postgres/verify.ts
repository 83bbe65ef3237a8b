/** Verifies an effect by what was read back: the rows have the values that were set, and nothing else changed. Pure. */
import { canonical, type Json } from '../../action/json.js';
import type { Check } from '../../action/outcome.js';
import type { Rehearsal } from '../../action/rehearsal.js';
import { changeDigest, differencesFrom } from './change.js';
import { check, countOf, differs, same, shown } from '../expected-rows.js';
import type { ObservedEffect } from '../tool.js';
import { displayName, parseName } from './catalog.js';
import { classify } from './classify.js';
import type { PostgresInput } from './input.js';
import type { RowPlan } from './plan.js';
import { createdIn, rowsIn, type Row } from './rows.js';
import { verifyDefinition } from './verify-definition.js';

export interface VerifyOptions {
  readonly schema: string;
  readonly sideEffectTables: ReadonlySet<string>;
  /** Columns that triggers maintain, such as `updated_at`. They may change with any update. */
  readonly maintainedColumns: ReadonlySet<string>;
  /** Columns whose values no check may quote. */
  readonly secretColumns: ReadonlySet<string>;
}

export function verifyChange(effect: ObservedEffect<PostgresInput>, options: VerifyOptions): readonly Check[] {
  const { input, preview } = effect;
  if (preview.rehearsal !== undefined) return verifyRehearsed(effect, preview.rehearsal, options);
  if (input.op === 'select' || input.op === 'describe') return verifyRead(effect);
  if (input.op === 'upsert') return [unrehearsed()];
  if (input.op !== 'sql') {
    const columns =
      input.op === 'update' ? Object.keys(input.set) : input.op === 'restore' ? Object.keys(input.rows[0] ?? {}) : [];
    return verifyRows(
      effect,
      { verb: input.op, table: displayName(parseName(input.table), options.schema), columns },
      options,
    );
  }
  const statement = classify(input.sql);
  switch (statement.verb) {
    case 'select':
      return verifyRead(effect);
    case 'insert':
    case 'update':
    case 'delete': {
      const table = displayName(statement.target, options.schema);
      return verifyRows(effect, { verb: statement.verb, table, columns: statement.columns ?? [] }, options);
    }
    case 'compound':
      return [unrehearsed()];
    default:
      return [...verifyDefinition(statement, effect, options.schema), affectedTablesCheck(effect, undefined, options)];
  }
}

/** Checks that the change did what it did when it was rehearsed, in every table, and that nothing else was written. */
function verifyRehearsed(
  { pre, post, execution }: ObservedEffect<PostgresInput>,
  rehearsal: Rehearsal,
  { sideEffectTables, secretColumns }: VerifyOptions,
): readonly Check[] {
  const asRehearsed = changeDigest(pre, post, rehearsal.varying) === rehearsal.digest;
  const rows = asRehearsed ? [] : (differencesFrom(rehearsal, pre, post, secretColumns) ?? []);
  const problems = rows.flat();
  const good = rows.filter((differences) => differences.length === 0).length;
  const count = problems.length === 0 ? undefined : countOf(good, rows.length);
  if (!asRehearsed && problems.length === 0) problems.push('the rows are not those of the rehearsal');
  if (execution === undefined) problems.push('the execution left no record to compare with');
  const written = Object.keys(execution?.affectedRows ?? {});
  const unexpected = written.filter((table) => !Object.hasOwn(rehearsal.tables, table) && !sideEffectTables.has(table));
  const affected = [
    ...(execution?.affectedRows === undefined ? ['the execution left no count of what it wrote'] : []),
    ...unexpected.map((table) => `${table}: expected no change, ${execution?.affectedRows?.[table]} rows written`),
  ];
  return [check('derived', problems, count), check('frame.affectedTables', affected)];
}

function unrehearsed(): Check {
  return check('derived', ['the change was not rehearsed, so nothing is known to compare with']);
}

/** A read succeeds when it returned rows, and changed nothing by the counts and the delta. */
function verifyRead({ execution, delta }: ObservedEffect<PostgresInput>): readonly Check[] {
  const { rows, rowCount } = (execution?.result ?? {}) as { rows?: Json; rowCount?: Json };
  const hasRows = Array.isArray(rows) && rows.length === rowCount;
  const affectedRows = Object.entries(execution?.affectedRows ?? {}).filter(([, count]) => count !== 0);
  const unchanged = delta.operations === 0 && affectedRows.length === 0;
  return [
    { name: 'derived', ok: hasRows, ...(hasRows ? {} : { detail: 'the answer holds no rows' }) },
    {
      name: 'frame.affectedTables',
      ok: unchanged,
      ...(unchanged
        ? {}
        : { detail: `a read changed ${affectedRows.map(([table]) => table).join(', ') || 'the state'}` }),
    },
  ];
}

export interface Change {
  readonly verb: RowPlan['verb'];
  readonly table: string;
  /** The columns that may change. */
  readonly columns: readonly string[];
  /** Columns whose values no check may quote. */
  readonly secret: ReadonlySet<string>;
}

type Rows = ReadonlyMap<string, Row>;

function verifyRows(
  effect: ObservedEffect<PostgresInput>,
  named: Omit<Change, 'secret'>,
  options: VerifyOptions,
): readonly Check[] {
  const change = { ...named, secret: options.secretColumns };
  const pre = rowsIn(effect.pre, change.table);
  const post = rowsIn(effect.post, change.table);
  const checks = [
    derived({ ...effect, rows: effect.preview.rows }, change, pre, post),
    frameRows(effect, change, pre, post),
  ];
  if (change.verb === 'update' || change.verb === 'restore')
    checks.push(frameColumns(change, pre, post, options.maintainedColumns));
  return [...checks, affectedTablesCheck(effect, change.table, options)];
}

/** What the check `derived` compares: the input with what the execution recorded of it. `rows` were expected. */
export interface DerivedEffect extends Pick<ObservedEffect<PostgresInput>, 'input' | 'execution'> {
  readonly rows: number;
}

/** The check that follows from the input: how many rows are as expected, and how the others differ. */
export function derived(
  effect: DerivedEffect,
  change: Parameters<typeof differences>[1],
  pre: Rows,
  post: Rows,
): Check {
  const rows = differences(effect, change, pre, post);
  const expected = change.verb === 'update' || change.verb === 'delete' ? pre.size : effect.rows;
  const good = rows.filter((problems) => problems.length === 0).length;
  const problems = rows.flat();
  const count = problems.length > 0 ? countOf(Math.min(good, expected), expected) : undefined;
  if (effect.execution === undefined) problems.push('the execution left no record to compare with');
  return check('derived', problems, count);
}

/** The problems of each expected row. */
function differences(
  effect: DerivedEffect,
  change: Omit<Change, 'columns'> & { readonly columns?: readonly string[] },
  pre: Rows,
  post: Rows,
): readonly string[][] {
  const expected = expectedRows(effect);
  const compared = (key: string, values: Row | undefined): string[] => {
    const place = `${change.table}/${key}`;
    const row = post.get(key);
    if (row === undefined) return [`${place} is gone, expected to be there`];
    return Object.entries(values ?? {})
      .filter(([column, value]) => !same(valueIn(row, column), value))
      .map(([column, value]) => differs(place, column, value, valueIn(row, column), change.secret));
  };
  switch (change.verb) {
    case 'update':
      return [...pre.keys()].map((key) => compared(key, expected[0]));
    case 'delete':
      return [...pre.keys()].map((key) =>
        post.has(key) ? [`${change.table}/${key} is there, expected to be gone`] : [],
      );
    case 'insert': {
      const keys = createdIn(effect.execution, change.table);
      const { rows } = effect;
      const found = keys.map((key, at) => compared(key, expected[at]));
      return keys.length === rows ? found : [...found, [`expected ${rows} new rows, there are ${keys.length}`]];
    }
    case 'restore': {
      const columns = change.columns ?? Object.keys(expected[0] ?? {});
      const rowText = (row: Row): string => (change.secret.size > 0 ? 'a row' : `the row ${shown(row)}`);
      const there = new Set([...post.values()].map((row) => partOf(row, columns)));
      return expected.map((row) =>
        there.has(partOf(row, columns)) ? [] : [`${change.table}: expected ${rowText(row)}, is not there`],
      );
    }
  }
}

function partOf(row: Row, columns: readonly string[]): string {
  return canonical(columns.map((column) => valueIn(row, column) ?? null));
}

/** Checks that no captured row vanished, and that no row appeared that the execution could have created. */
function frameRows(effect: ObservedEffect<PostgresInput>, change: Change, pre: Rows, post: Rows): Check {
  const problems: string[] = [];
  if (change.verb !== 'delete') {
    for (const key of pre.keys()) if (!post.has(key)) problems.push(`${change.table}/${key} vanished`);
  }
  const created = new Set(createdIn(effect.execution, change.table));
  const appeared = [...post.keys()].filter((key) => !pre.has(key) && !created.has(key));
  // The server counted every row that our transaction wrote, so any other new row was written by somebody else before we read again.
  const accounted = effect.execution?.affectedRows?.[change.table] === effect.preview.rows;
  if (accounted && problems.length === 0 && appeared.length > 0) {
    return {
      name: 'frame.rows',
      ok: true,
      detail: `${appeared.length} more rows match by now; they are not this action's doing`,
    };
  }
  return check('frame.rows', [...problems, ...appeared.map((key) => `${change.table}/${key} appeared`)]);
}

/** Checks that only the named columns changed. */
export function frameColumns(change: Change, pre: Rows, post: Rows, maintained: ReadonlySet<string>): Check {
  const problems: string[] = [];
  const free = new Set([...change.columns, ...maintained]);
  for (const [key, before] of pre) {
    const after = post.get(key);
    if (after === undefined) continue;
    for (const column of new Set([...Object.keys(before), ...Object.keys(after)])) {
      if (!free.has(column) && !same(before[column], after[column])) {
        problems.push(differs(`${change.table}/${key}`, column, before[column], after[column], change.secret));
      }
    }
  }
  return check('frame.columns', problems);
}

/** Checks the server's own count of the rows that the transaction wrote. */
function affectedTablesCheck(
  effect: ObservedEffect<PostgresInput>,
  table: string | undefined,
  options: VerifyOptions,
): Check {
  const { execution, preview } = effect;
  if (execution?.affectedRows === undefined)
    return check('frame.affectedTables', ['the execution left no count of what it wrote']);
  const named = new Set(table === undefined ? preview.targets : [table]);
  const problems = Object.entries(execution.affectedRows).flatMap(([name, rows]) => {
    if (options.sideEffectTables.has(name)) return [];
    if (!named.has(table === undefined ? name.toLowerCase() : name))
      return [`${name}: expected no change, ${rows} rows written`];
    return table === undefined || rows === preview.rows
      ? []
      : [`${name}: expected ${preview.rows} rows, ${rows} written`];
  });
  if (table !== undefined && !Object.hasOwn(execution.affectedRows, table)) problems.push(`${table}: not counted`);
  return check('frame.affectedTables', problems);
}

/** The given values or, where the form in the database differs, the form that the execution recorded. */
function expectedRows({ input, execution }: DerivedEffect): readonly Row[] {
  const given = input.op === 'update' ? [input.set] : input.op === 'insert' || input.op === 'restore' ? input.rows : [];
  const result = execution?.result;
  const record = typeof result === 'object' && result !== null && !Array.isArray(result) ? result : {};
  const { assigned } = record as { readonly [field: string]: Json };
  const stored = Array.isArray(assigned) ? (assigned as readonly Row[]) : [];
  return Array.from({ length: Math.max(given.length, stored.length) }, (_, at) => ({ ...given[at], ...stored[at] }));
}

function valueIn(row: Row, column: string): Json | undefined {
  return Object.hasOwn(row, column) ? row[column] : undefined;
}
