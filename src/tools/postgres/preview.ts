/** The dry run: it counts and samples what an action would touch, and names everything else that would run with it. */
import type { Preview } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import { canonicalBytes, type Json, type JsonObject } from '../../action/json.js';
import { assignedRows } from './assignment.js';
import type { Cascade, Table } from './catalog.js';
import { tooManyRows, type QueriedPlan, type Reader } from './capture.js';
import type { QueryResult, Query } from './connection.js';
import { rowsQuery, type DefinitionPlan } from './definition.js';
import { checkExports, exportRefusal, type ExportSettings } from './exports.js';
import type { ReadPlan, RowPlan } from './plan.js';
import { refuseStatement } from './parser.js';
import { withRefusal } from './row-count.js';
import { columnOrder, storedColumns } from './catalog.js';
import { ANY_ORDER, counted, ordered, quote } from './sql.js';

export interface PreviewOptions extends Reader {
  readonly tool: string;
  readonly sideEffectTables: ReadonlySet<string>;
}

/** How many rows are shown to people. */
export const SAMPLE = 10;
/** The longest part of a value that is shown to people, in characters. */
const SHOWN = 200;
/** Rows are counted exactly up to this number, so that policies can use the count even when it is too large to record. */
const COUNT_LIMIT = 1_000_000;
const CASCADE_LIMIT = 1_000;
const MAX_STORED_BYTES = 128 * 1024;

export async function previewChange(plan: QueriedPlan, options: PreviewOptions, signal: AbortSignal): Promise<Preview> {
  switch (plan.kind) {
    case 'read':
      return await previewRead(plan, options, signal);
    case 'rows':
      return await previewRows(plan, options, signal);
    case 'definition':
      return await previewDefinition(plan, options, signal);
  }
}

async function previewRead(plan: ReadPlan, options: PreviewOptions, signal: AbortSignal): Promise<Preview> {
  const { database, maxRows } = options;
  if (plan.explains === true) return await previewExplanation(plan, options, signal);
  const { text } = plan.query;
  const order = plan.ordered ? '' : `ORDER BY ${ANY_ORDER} `;
  const sample = { ...plan.query, text: `SELECT * FROM (\n${text}\n) q ${order}LIMIT ${SAMPLE}` };
  // A result that depends on the clock would give another sample each time, and people sign what they are shown.
  const queries = [counted(plan.query, maxRows + 1), ...(plan.clock ? [] : [sample])];
  const [count, rows] = await database.read(queries, signal);
  const total = numberIn(count);
  if (total > maxRows) throw tooManyRows(`more than ${maxRows}`, plan.reads.join(', '), maxRows);
  return {
    rows: total,
    targets: [],
    reads: lower(plan.reads),
    schemaChange: false,
    sample: rows === undefined ? [] : database.objects(rows).map((row) => shortened(row)),
    summary: `read ${plural(total)}${plan.reads.length === 0 ? '' : ` from ${plan.reads.join(', ')}`}`,
    ...(plan.clock ? { warnings: ['the rows depend on the time of day, so none are shown'] } : {}),
  };
}

/** An explanation has other costs each time, and people sign what they are shown: they see of what it is. */
async function previewExplanation(plan: ReadPlan, { database }: PreviewOptions, signal: AbortSignal): Promise<Preview> {
  const [answer] = await database.read([plan.query], signal);
  return {
    rows: answer?.rows.length ?? 0,
    targets: [],
    reads: lower(plan.reads),
    schemaChange: false,
    sample: [],
    summary: `explain how the server would run: ${plan.query.text.replaceAll(/\s+/gu, ' ').slice(0, SHOWN)}`,
  };
}

async function previewRows(plan: RowPlan, options: PreviewOptions, signal: AbortSignal): Promise<Preview> {
  const { database } = options;
  const { table, verb } = plan;
  const isNew = verb === 'insert' || verb === 'restore';
  const queries = new Map<string, Query>();
  if (plan.matching !== undefined) queries.set('matching', counted(plan.matching, COUNT_LIMIT + 1));
  if (plan.matching !== undefined && !isNew) queries.set('sample', ordered(plan.matching, table, SAMPLE));
  if (plan.matches !== undefined) queries.set('matches', counted(plan.matches, COUNT_LIMIT + 1));
  if (plan.source !== undefined) queries.set('source', counted(plan.source, COUNT_LIMIT + 1));
  if (plan.source !== undefined && !plan.clock) queries.set('sample', sourceSample(plan.source, plan.sourceColumns));
  for (const [at, cascade] of (verb === 'delete' ? table.cascades : []).entries()) {
    queries.set(`cascade ${at}`, cascadeCount(plan, cascade));
  }
  for (const [at, query] of [...plan.examination, ...(plan.assignment?.queries ?? [])].entries()) {
    queries.set(`examination ${at}`, query);
  }
  const results = await readNamed(queries, database, signal);
  checkSize(plan, results);
  const matching = numberIn(results.get('matching'));
  const rows = !isNew ? matching : plan.source === undefined ? plan.given.length : numberIn(results.get('source'));
  if (rows > COUNT_LIMIT) throw tooManyRows(`more than ${COUNT_LIMIT}`, table.name, options.maxRows);
  if (plan.matches !== undefined && numberIn(results.get('matches')) > rows) throw ambiguousJoin([table]);
  const sample = results.get('sample');
  const shown = sample === undefined ? plan.given.slice(0, SAMPLE) : database.objects(sample);
  const warnings = [
    ...actsWith(table, verb === 'restore' ? ['insert', 'update'] : [verb]),
    ...cascadeWarnings(plan, results, options),
    ...(verb === 'insert' && matching > 0
      ? [
          `${plural(matching)} with a key given here ${matching === 1 ? 'is' : 'are'} there already, so the insert will fail`,
        ]
      : []),
  ];
  return {
    rows,
    targets: lower([table.name]),
    reads: lower(plan.reads),
    schemaChange: false,
    sample: shown.map((row) => shortened(row)),
    ...(shown.length === 0 ? {} : { columns: columnOrder([table]) }),
    summary: summaryOf(plan, rows),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

/** Checks that the values in the database's form, which are recorded with the execution, are not too large. */
function checkSize(plan: RowPlan, results: ReadonlyMap<string, QueryResult>): void {
  if (plan.assignment === undefined) return;
  const stored = plan.assignment.queries.map((_, at) => results.get(`examination ${plan.examination.length + at}`));
  const bytes = canonicalBytes(
    assignedRows(
      plan.assignment,
      stored.flatMap((result) => result ?? []),
    ) ?? [],
  );
  if (bytes <= MAX_STORED_BYTES) return;
  throw new CountersignError(
    'INVALID_INPUT',
    `The values are ${bytes} bytes in the database's form; at most ${MAX_STORED_BYTES} are recorded.`,
    {
      field: 'input',
      expected: 'fewer rows at once',
      fix: 'Split the action.',
    },
  );
}

function summaryOf({ verb, table, columns }: RowPlan, rows: number): string {
  switch (verb) {
    case 'insert':
      return `insert ${plural(rows)} into ${table.name}`;
    case 'update':
      return `update ${plural(rows)} of ${table.name}: set ${columns.join(', ')}`;
    case 'delete':
      return `delete ${plural(rows)} from ${table.name}`;
    case 'restore':
      return `restore ${plural(rows)} of ${table.name}`;
  }
}

/** A sample of the rows that would be inserted, under the names of their columns. */
function sourceSample(source: Query, columns: readonly string[] | undefined): Query {
  const names = columns === undefined ? '' : ` (${columns.map((name) => quote(name)).join(', ')})`;
  return { ...source, text: `SELECT * FROM (\n${source.text}\n) q${names} ORDER BY ${ANY_ORDER} LIMIT ${SAMPLE}` };
}

export function ambiguousJoin(tables: readonly Table[]): CountersignError {
  return refuseStatement(
    `A row of ${tables.map(({ name }) => name).join(', ')} is matched more than once, so which value it would get is a matter of chance.`,
    'a join that matches each row of the target at most once',
    'Join on a key, or aggregate what is joined.',
  );
}

function cascadeCount(plan: RowPlan, cascade: Cascade): Query {
  const stored = new Set(storedColumns(plan.table).map((column) => column.name));
  // When the foreign key refers to a generated column, its rows cannot be distinguished, so all of them count.
  const isLimited = cascade.references.every((name) => stored.has(name)) && plan.matching !== undefined;
  const columns = cascade.columns.map((name) => quote(name)).join(', ');
  const references = cascade.references.map((name) => `q.${quote(name)}`).join(', ');
  const condition = isLimited ? `(${columns}) IN (SELECT ${references} FROM (\n${plan.matching?.text}\n) q)` : 'true';
  return {
    text: `SELECT count(*) FROM (SELECT 1 FROM ${cascade.sql} WHERE ${condition} LIMIT ${CASCADE_LIMIT + 1}) n`,
    ...(isLimited && plan.matching?.values !== undefined ? { values: plan.matching.values } : {}),
  };
}

/**
 * Counts what a delete would remove or change in other tables. These rows are not part of the decision and the record, so they stop the
 * action here, where the agent can still correct it, unless the operator lists the table in `sideEffectTables`.
 */
function cascadeWarnings(
  plan: RowPlan,
  results: ReadonlyMap<string, QueryResult>,
  { sideEffectTables }: PreviewOptions,
): string[] {
  if (plan.verb !== 'delete') return [];
  return plan.table.cascades.flatMap((cascade, at) => {
    const rows = numberIn(results.get(`cascade ${at}`));
    if (rows === 0) return [];
    const what = `${rows > CASCADE_LIMIT ? `more than ${CASCADE_LIMIT} rows` : plural(rows)} of ${cascade.table}`;
    if (sideEffectTables.has(cascade.table)) return [`foreign key: ${cascade.action} on ${what}`];
    throw new CountersignError(
      'INVALID_INPUT',
      `The delete would ${cascade.action} ${what}, which the action does not name.`,
      {
        field: 'input',
        expected: `rows that no row of ${cascade.table} refers to`,
        fix: `Act on the rows of ${cascade.table} first, in an action of their own; or ask the operator to add ${cascade.table} to sideEffectTables.`,
      },
    );
  });
}

async function previewDefinition(
  plan: DefinitionPlan,
  { database, maxRows, exports, tool }: PreviewOptions,
  signal: AbortSignal,
): Promise<Preview> {
  const queries = plan.emptied.flatMap((table) => [
    counted(rowsQuery(table), COUNT_LIMIT + 1),
    ordered(rowsQuery(table), table, SAMPLE),
  ]);
  const results = queries.length === 0 ? [] : await database.read(queries, signal);
  const counts = plan.emptied.map((_, at) => numberIn(results[2 * at]));
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const tooMany = plan.emptied.find((_, at) => (counts[at] ?? 0) > COUNT_LIMIT);
  if (tooMany !== undefined) throw tooManyRows(`more than ${COUNT_LIMIT}`, tooMany.name, COUNT_LIMIT);
  const sample = plan.emptied.flatMap((_, at) => {
    const result = results[2 * at + 1];
    return result === undefined ? [] : database.objects(result);
  });
  const warnings = plan.existing.flatMap((table) => actsWith(table, plan.verb === 'truncate' ? ['truncate'] : []));
  const large = plan.emptied.filter((_, at) => (counts[at] ?? 0) > maxRows);
  if (exports !== undefined && large.length > 0) await checkExports(exports, { tool, database }, signal);
  for (const { name } of large) warnings.push(keptBy(name, exports));
  const removed = plan.emptied.length === 0 ? '' : ` (${plural(rows)})`;
  const exported = counts.filter((count) => count > maxRows).reduce((sum, count) => sum + count, 0);
  const preview = {
    rows,
    targets: lower(plan.tables),
    reads: lower(plan.reads),
    schemaChange: plan.verb !== 'truncate',
    sample: sample.slice(0, SAMPLE).map((row) => shortened(row)),
    ...(sample.length === 0 ? {} : { columns: columnOrder(plan.emptied) }),
    summary: `${plan.text}${removed}`,
    ...(warnings.length === 0 ? {} : { warnings }),
  };
  return withRefusal(preview, exports === undefined ? undefined : exportRefusal(exports, plan.emptied, exported));
}

/** What becomes of rows that are removed and too many to be recorded one by one. */
function keptBy(table: string, exports: ExportSettings | undefined): string {
  return exports === undefined
    ? `the rows of ${table} are recorded by their count and digest only, so that they cannot be put back`
    : `the rows of ${table} are copied into the schema ${exports.schema} before they are removed`;
}

export function actsWith(table: Table, events: readonly ('insert' | 'update' | 'delete' | 'truncate')[]): string[] {
  const concerned = ({ on }: Table['triggers'][number]): boolean => on.some((event) => events.includes(event));
  return [
    ...table.triggers
      .filter((trigger) => concerned(trigger))
      .map(({ name }) => `trigger ${name} on ${table.name} runs`),
    ...table.rules
      .filter((rule) => concerned(rule))
      .map(({ name }) => `rule ${name} on ${table.name} rewrites the statement`),
    ...(table.rowSecurity ? [`row-level security on ${table.name} hides rows from this tool`] : []),
  ];
}

async function readNamed(
  queries: ReadonlyMap<string, Query>,
  database: PreviewOptions['database'],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, QueryResult>> {
  if (queries.size === 0) return new Map();
  const results = await database.read([...queries.values()], signal);
  return new Map(
    [...queries.keys()].flatMap((name, at) => (results[at] === undefined ? [] : [[name, results[at]] as const])),
  );
}

function numberIn(result: QueryResult | undefined): number {
  return Number(result?.rows[0]?.[0] ?? 0);
}

export function shortened(row: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(row).map(([name, value]): [string, Json] => [name, shortenedValue(value)]));
}

function shortenedValue(value: Json): Json {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (text.length <= SHOWN) return value;
  // toWellFormed repairs a surrogate pair that was cut in the middle.
  return `${text.slice(0, SHOWN).toWellFormed()}… (${text.length} characters)`;
}

function plural(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`;
}

export function lower(names: readonly string[]): readonly string[] {
  return [...new Set(names.map((name) => name.toLowerCase()))].sort();
}
