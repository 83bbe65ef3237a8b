/** How many rows a change must be of: one that matches nothing has not done what the agent was asked to do. */
import type { Preview } from '../../action/decision.js';
import type { ErrorView } from '../../action/errors.js';
import type { PostgresInput, RowCount } from './input.js';

/** Why a change of so many rows is not what its input expects; undefined when it is. */
export function countRefusal(table: string, input: PostgresInput, rows: number): ErrorView | undefined {
  const { min, max } = boundsOf(expectedCount(input));
  if (rows < min) {
    return {
      code: 'NOTHING_MATCHED',
      message: `${rows === 0 ? 'No row' : `${rows} of at least ${min} rows`} of ${table} would change; nothing was done.`,
      field: 'input',
      expected: min === 1 ? 'at least one row' : `at least ${min} rows`,
      fix: 'Select the rows first and correct the condition. If it is all the same whether there are any, say so: rows: {"min": 0}.',
    };
  }
  if (rows <= max) return undefined;
  return {
    code: 'TOO_MANY_ROWS',
    message: `${rows} rows of ${table} would change, of at most ${max}; nothing was done.`,
    field: 'input.rows',
    expected: `at most ${max} rows`,
    fix: 'Narrow the condition, or expect more rows.',
  };
}

function expectedCount(input: PostgresInput): RowCount | undefined {
  switch (input.op) {
    case 'update':
    case 'delete':
    case 'sql':
      return input.rows;
    default:
      return undefined;
  }
}

function boundsOf(rows: RowCount | undefined): { readonly min: number; readonly max: number } {
  if (typeof rows === 'number') return { min: rows, max: rows };
  return { min: rows?.min ?? 1, max: rows?.max ?? Infinity };
}

/** The preview with why nothing would be done, if so. */
export function withRefusal(preview: Preview, refusal: ErrorView | undefined): Preview {
  return refusal === undefined ? preview : { ...preview, refusal };
}
