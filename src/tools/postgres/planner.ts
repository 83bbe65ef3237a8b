/** Plans an input for this database. */
import { CountersignError } from '../../action/errors.js';
import type { State } from '../../action/snapshot.js';
import { assignedByRows } from './assigned-columns.js';
import { assignValues } from './assignment.js';
import { columnOf, parseName } from './catalog.js';
import { classify } from './classify.js';
import type { PostgresInput } from './input.js';
import type { ChangePlan } from './plan.js';
import { cascadesFrom, compound, movesRows, NOTHING_MORE, requireWritable, sorted, withoutKey } from './plan-parts.js';
import { planSql } from './plan-sql.js';
import { requireKey } from './rows.js';
import type { SqlScope } from './scope.js';
import * as structured from './structured.js';

/**
 * Plans an input.
 *
 * @param pre the captured pre-state, when the effect has already happened
 * @throws CountersignError INVALID_INPUT, STATEMENT_REFUSED or TOOL_UNAVAILABLE
 */
export async function planFor(
  input: PostgresInput,
  scope: SqlScope,
  signal: AbortSignal,
  pre?: State,
): Promise<ChangePlan> {
  if (input.op === 'sql') return await planSql(classify(input.sql), input.params, scope, signal, pre);
  if (input.op === 'describe') {
    const query = await scope.describe(input.tables?.map(parseName), signal);
    return { kind: 'read', query, reads: [], ordered: true, clock: false };
  }
  const [table] = await scope.tables([parseName(input.table)], 'input.table', signal);
  if (table === undefined) throw new CountersignError('INTERNAL', 'The table that was found is gone.');
  if (input.op === 'select') {
    const reads = await scope.readable([table], signal);
    const query = structured.selectQuery(input, table);
    const { limit } = input;
    const withOneMore = structured.selectQuery({ ...input, limit: limit + 1 }, table);
    const page = { limit, withOneMore };
    return { kind: 'read', query, reads: sorted(reads.names), ordered: true, clock: reads.clock, page };
  }
  requireWritable(table, 'input.table');
  if (input.op === 'upsert') {
    const [statement, assigned] = [structured.upsertStatement(table, input), assignedByRows(input.rows)];
    return compound(statement, { targets: [table], assigned: new Map([[table.name, assigned]]) });
  }
  const base = { ...NOTHING_MORE, table, verb: input.op };
  switch (input.op) {
    case 'insert': {
      for (const row of input.rows) for (const name of Object.keys(row)) columnOf(table, name, 'input.rows');
      const keys = structured.givenKeys(table, input.rows, false);
      return {
        ...base,
        statement: structured.insertStatement(table, input),
        matching: keys.length === 0 ? undefined : structured.keyQuery(table, keys),
        given: input.rows,
        assignment: assignValues(table, input.rows, 'input.rows'),
        assigned: assignedByRows(input.rows),
        onlyRehearsed: withoutKey(table),
      };
    }
    case 'restore': {
      requireKey(table, 'input.table');
      const names = new Set(input.rows.map((row) => Object.keys(row).sort().join('\n')));
      if (names.size > 1) throw unevenRows();
      return {
        ...base,
        statement: structured.restoreStatement(table, input),
        matching: structured.keyQuery(table, structured.givenKeys(table, input.rows, true)),
        given: input.rows,
        assignment: assignValues(table, input.rows, 'input.rows'),
        assigned: assignedByRows(input.rows),
      };
    }
    case 'update':
      return {
        ...base,
        statement: structured.updateStatement(table, input),
        matching: structured.matchingQuery(table, input),
        columns: Object.keys(input.set),
        assignment: assignValues(table, [input.set], 'input.set'),
        onlyRehearsed: movesRows(table, Object.keys(input.set)),
        cascades: cascadesFrom(table, Object.keys(input.set)),
      };
    case 'delete':
      return {
        ...base,
        statement: structured.deleteStatement(table, input),
        matching: structured.matchingQuery(table, input),
        onlyRehearsed: withoutKey(table),
        cascades: table.cascades.length > 0,
      };
  }
}

function unevenRows(): CountersignError {
  return new CountersignError('INVALID_INPUT', 'The rows to restore do not have the same columns.', {
    field: 'input.rows',
    expected: 'the same columns in every row',
    fix: 'Give whole rows, as they were captured.',
  });
}
