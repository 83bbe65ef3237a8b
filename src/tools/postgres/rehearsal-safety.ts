/**
 * Refuses to rehearse what a rollback may not take back. Whatever runs with a change (triggers, rules, and the functions that they call) is
 * followed by the words of its source, also through the tables that it names. A name that is put together at run time is not seen.
 */
import { CountersignError } from '../../action/errors.js';
import { words } from './grammar.js';
import { IS_RADAR_TRIGGER } from './radar/trigger-source.js';

/** What the catalog says of the code that may run with a change. */
export interface DatabaseCode {
  readonly functions: readonly CodeFunction[];
  readonly tables: readonly CodeTable[];
}

export interface CodeFunction {
  readonly oid: string;
  readonly name: string;
  readonly language: string;
  /** Whether its language confines it to the database. */
  readonly confined: boolean;
  readonly volatile: boolean;
  readonly source: string;
}

export interface CodeTable {
  readonly schema: string;
  readonly name: string;
  readonly foreign: boolean;
  /** The functions of its triggers, by oid. */
  readonly triggers: readonly string[];
  /** The texts of its rules. */
  readonly rules: readonly string[];
  /** The tables whose rows foreign keys delete or change with its own. */
  readonly cascades: readonly { readonly schema: string; readonly name: string }[];
}

/** Returns one JSON text. */
export const CODE_SQL = `
SELECT pg_catalog.json_build_object(
  'functions', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('oid', p.oid::text, 'name', p.proname, 'language', l.lanname,
      'confined', l.lanpltrusted OR l.lanname = 'sql', 'volatile', p.provolatile = 'v', 'source', p.prosrc)), '[]')
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')),
  'tables', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'foreign', c.relkind = 'f',
      'triggers', (SELECT coalesce(pg_catalog.json_agg(g.tgfoid::text), '[]') FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
        AND NOT ${IS_RADAR_TRIGGER}),
      'rules', (SELECT coalesce(pg_catalog.json_agg(pg_get_ruledef(r.oid)), '[]') FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
      'cascades', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', m.nspname, 'name', d.relname)), '[]')
        FROM pg_constraint f JOIN pg_class d ON d.oid = f.conrelid JOIN pg_namespace m ON m.oid = d.relnamespace
        WHERE f.contype = 'f' AND f.confrelid = c.oid AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))))), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%')
)::text`;

export function codeFrom(text: string | null): DatabaseCode {
  return JSON.parse(text ?? '{"functions":[],"tables":[]}') as DatabaseCode;
}

/** Functions of the server whose effect a rollback does not take back. */
const LASTING = words(`
  setval pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared pg_advisory_unlock
  pg_advisory_unlock_shared pg_advisory_unlock_all pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile
  pg_switch_wal pg_logical_emit_message pg_create_logical_replication_slot pg_create_physical_replication_slot
  pg_drop_replication_slot pg_replication_slot_advance pg_logical_slot_get_changes lo_import lo_export pg_file_write
  pg_promote pg_stat_reset pg_prewarm dblink dblink_exec dblink_connect dblink_send_query
`);

/** Program and file access by COPY, in any spelling that plpgsql takes. */
const COPY = /\bcopy\b[^;]*\b(program|to|from)\b\s*(program\b|')/i;

/**
 * Checks everything that may run with a change of these tables.
 *
 * @param trusted functions that the operator says a rollback takes back
 * @throws CountersignError STATEMENT_REFUSED
 */
export function assertTakenBack(
  code: DatabaseCode,
  changed: readonly { readonly schema: string; readonly name: string }[],
  trusted: ReadonlySet<string>,
): void {
  const tables = new Map(code.tables.map((table) => [`${table.schema}.${table.name}`, table]));
  const tablesByName = groupBy(code.tables, ({ name }) => name);
  const functionsByName = groupBy(code.functions, ({ name }) => name);
  const functions = new Map(code.functions.map((one) => [one.oid, one]));
  const seen = new Set<CodeTable | CodeFunction>();
  const enterTable = (table: CodeTable | undefined, from: string): void => {
    if (table === undefined || seen.has(table)) return;
    seen.add(table);
    if (table.foreign) throw notTakenBack(`${from} names ${table.name}, a table of another server`);
    for (const oid of table.triggers) enterFunction(functions.get(oid), `a trigger on ${table.name}`);
    for (const rule of table.rules) enterText(rule, `a rule on ${table.name}`);
    for (const { schema, name } of table.cascades) enterTable(tables.get(`${schema}.${name}`), from);
  };
  const enterFunction = (called: CodeFunction | undefined, from: string): void => {
    if (called === undefined || seen.has(called) || trusted.has(called.name)) return;
    seen.add(called);
    const { name, language, confined, volatile } = called;
    if (!confined && (volatile || language !== 'c'))
      throw notTakenBack(`${from} calls ${name}, which is written in ${language}`);
    if (confined) enterText(called.source, `the function ${name}`);
  };
  const enterText = (text: string, from: string): void => {
    if (COPY.test(text)) throw notTakenBack(`${from} uses COPY`);
    for (const word of new Set(text.toLowerCase().match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? [])) {
      if (LASTING.has(word) && !trusted.has(word)) throw notTakenBack(`${from} names ${word}`);
      for (const called of functionsByName.get(word) ?? []) enterFunction(called, from);
      for (const table of tablesByName.get(word) ?? []) enterTable(table, from);
    }
  };
  for (const { schema, name } of changed) enterTable(tables.get(`${schema}.${name}`), 'the change');
}

function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item).toLowerCase();
    groups.set(name, [...(groups.get(name) ?? []), item]);
  }
  return groups;
}

function notTakenBack(why: string): CountersignError {
  return new CountersignError(
    'STATEMENT_REFUSED',
    `The change cannot be rehearsed: ${why}, which a rollback may not take back.`,
    {
      field: 'input',
      expected: 'changes that a rollback takes back completely',
      fix: 'Ask the operator to list the function in rehearsal.transactionalFunctions, if a rollback does take it back, or to set rehearse to never.',
    },
  );
}
