/** Samples other rows than those of an action, to be compared before and after it. Limited in tables, rows and time. */
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import type { SampleOptions } from '../tool.js';
import { parseName, type Table } from './catalog.js';
import type { Reader } from './capture.js';
import type { Query } from './connection.js';
import type { ChangePlan } from './plan.js';
import { createdIn, keysIn } from './rows.js';
import { keyCondition, Parameters, quote } from './sql.js';

/** Which rows beside the action's own are sampled, to see that they stay as they are. */
export interface FrameOptions {
  /** How many rows of each table are sampled, besides the action's own: those with the lowest keys, from 1 to 1000. */
  readonly sampleRows: number;
  /** Tables to sample in addition to the one that the action changes, at most 20. Default none. */
  readonly tables?: readonly string[];
  /** The longest time of a sample. Milliseconds, from 100 to 5000, default 1000. */
  readonly timeoutMs?: number;
}

const MAX_FRAME_TABLES = 20;

/** Checks the options. @throws CountersignError CONFIG_INVALID */
export function checkFrame(tool: string, frame: FrameOptions, sideEffectTables: ReadonlySet<string>): void {
  const invalid = (field: string, expected: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `The tool ${tool}: frame.${field} must be ${expected}.`, {
      field: `frame.${field}`,
      expected,
      fix: `Correct frame.${field}.`,
    });
  const { sampleRows, tables = [], timeoutMs = 1000 } = frame;
  if (!(Number.isInteger(sampleRows) && sampleRows >= 1 && sampleRows <= 1000)) {
    throw invalid('sampleRows', 'a whole number from 1 to 1000');
  }
  if (!(Number.isInteger(timeoutMs) && timeoutMs >= 100 && timeoutMs <= 5000)) {
    throw invalid('timeoutMs', 'a whole number of milliseconds from 100 to 5000');
  }
  if (tables.length > MAX_FRAME_TABLES) throw invalid('tables', `at most ${MAX_FRAME_TABLES} tables`);
  const meant = tables.find((name) => sideEffectTables.has(name));
  if (meant !== undefined) throw invalid('tables', `tables that no action may write beside its own; ${meant} is not`);
}

/**
 * Takes the sample: the number of sampled rows of each table and one digest over them, `{orders: {rows: 100, digest: 'md5:…'}}`. The
 * captured rows and those that the action created are left out. The sample is empty for an action that only reads.
 *
 * @throws CountersignError INVALID_INPUT, CONFIG_INVALID, TOOL_UNAVAILABLE, or TOOL_FAILED when it takes too long
 */
export async function sampleAround(
  plan: ChangePlan,
  { pre, execution }: SampleOptions,
  frame: FrameOptions,
  { database, scope }: Reader,
  signal: AbortSignal,
): Promise<State> {
  if (plan.kind === 'read') return {};
  const changed = plan.kind === 'rows' ? [plan.table] : plan.kind === 'rehearsed' ? plan.targets : [];
  const own = new Set([...changed.map((table) => table.name), ...(plan.kind === 'definition' ? plan.tables : [])]);
  const others = (frame.tables ?? []).filter((name) => !own.has(name));
  const named = await scope.tables(
    others.map((name) => parseName(name)),
    'frame.tables',
    signal,
  );
  const tables = [...changed.filter((table) => table.key.length > 0), ...named];
  if (tables.length === 0) return {};
  const queries = tables.map((table) => {
    const touched = [...keysIn(pre, table.name), ...createdIn(execution, table.name)];
    return sampleQuery(table, touched, frame.sampleRows);
  });
  const timeoutMs = (frame.timeoutMs ?? 1000) / queries.length;
  const results = await database.read(queries, signal, timeoutMs);
  return Object.fromEntries(
    tables.map((table, at) => {
      const [rows, digest] = results[at]?.rows[0] ?? [];
      return [table.name, { rows: Number(rows), digest: `md5:${digest}` }];
    }),
  );
}

function sampleQuery(table: Table, without: readonly string[], limit: number): Query {
  if (table.key.length === 0) {
    throw new CountersignError('CONFIG_INVALID', `${table.name} has no primary key, so its rows cannot be sampled.`, {
      field: 'frame.tables',
      expected: 'tables with a primary key',
      fix: 'Leave the table out, or have a primary key added.',
    });
  }
  const parameters = new Parameters();
  const condition = without.length === 0 ? 'true' : `NOT (${keyCondition(table, without, parameters)})`;
  const order = table.key.map((column) => `t.${quote(column.name)}`).join(', ');
  return {
    text:
      `SELECT count(*), md5(coalesce(string_agg(q.digest, '' ORDER BY q.digest COLLATE "C"), '')) FROM (` +
      `SELECT md5(t::text) AS digest FROM ${table.sql} t WHERE ${condition} ORDER BY ${order} LIMIT ${limit}) q`,
    ...(parameters.values.length === 0 ? {} : { values: parameters.values }),
  };
}
