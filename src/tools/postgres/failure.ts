/** Interprets PostgreSQL's errors: whether anything happened, and whether another attempt is of use. */
import pg from 'pg';
import { asCountersignError, CountersignError } from '../../action/errors.js';

/** The SQLSTATE of a server error; undefined for any other error, such as a lost connection. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Whether the connection is lost, so that the effect of what was sent last is unknown. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof CountersignError || error instanceof DOMException || isFault(error)) return false;
  const state = sqlState(error);
  // 57P01 to 57P05: the server ends the session; class 08: the connection failed.
  return state === undefined || /^(08|57P0)/.test(state);
}

/** Whether the error is a bug of ours rather than an error of the database. */
function isFault(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

/** Whether two transactions conflicted and this one was rolled back. Another attempt may succeed at once. */
export function isConflict(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(error) ?? '');
}

/** Rows that refer to others, are unique or exclude others; tables, objects and columns that are there already, or no more. */
const WHAT_IS_THERE = new Set(['23503', '23505', '23P01', '42P07', '42701', '42703', '42704', '42710']);

/**
 * Whether the database refused the change because of what others have committed. It does not look into the transaction's snapshot for that,
 * so it may be what another attempt with the same key has done meanwhile.
 */
export function isRefusedForWhatIsThere(error: unknown): boolean {
  return WHAT_IS_THERE.has(sqlState(error) ?? '');
}

export function isMissingTable(error: unknown): boolean {
  return ['42P01', '3F000'].includes(sqlState(error) ?? '');
}

export interface FailureContext {
  /** The tool's name. */
  readonly tool: string;
  /** `reading`: the query had no effect; `writing`: the transaction was rolled back. */
  readonly phase: 'reading' | 'writing';
}

/** Server errors caused by the proposal: syntax and names (42), data (22), the check of a domain (23), and unsupported features (0A). */
const CAUSED_BY_PROPOSAL = /^(42|22|23|0A)/;
/** Transient server errors: too many connections, starting up or shutting down, lock not available, out of resources. */
const TRANSIENT = /^(08|40|53|57P|55P03)/;

/**
 * Converts an error of the database to a CountersignError. It quotes the server's message but never its detail, which may contain other
 * rows. Neither contains a password.
 */
export function asFailure(error: unknown, { tool, phase }: FailureContext): CountersignError {
  if (error instanceof CountersignError || isFault(error)) return asCountersignError(error);
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  if (state === undefined) return unreachable(tool, error);
  if (state.startsWith('28')) {
    return new CountersignError('TOOL_UNAVAILABLE', `${tool}: the database does not let us in: ${message}`, {
      expected: 'a user and password that the database accepts',
      fix: "Correct the tool's credentials on the worker.",
      cause: error,
    });
  }
  if (TRANSIENT.test(state)) {
    return new CountersignError('TOOL_UNAVAILABLE', `${tool}: ${message}`, {
      fix: 'Try again later; nothing was changed.',
      retryable: true,
      cause: error,
    });
  }
  if (state === '57014') {
    return new CountersignError('TOOL_FAILED', `${tool}: ${message}; nothing was changed.`, {
      expected: "a statement that ends within the tool's timeoutMs",
      fix: 'Touch fewer rows, or ask the operator for an index or a longer timeoutMs.',
      cause: error,
    });
  }
  if (state === '25006') {
    return new CountersignError('STATEMENT_REFUSED', `${tool}: reading would have written: ${message}`, {
      field: 'input',
      expected: 'a statement that only reads where it says so',
      fix: 'Leave out the function that writes.',
      cause: error,
    });
  }
  if (phase === 'reading' && state !== '42501' && CAUSED_BY_PROPOSAL.test(state)) {
    return new CountersignError('INVALID_INPUT', `${tool}: ${message}`, {
      field: 'input',
      expected: 'what the database accepts',
      fix: 'Correct the input as the message says.',
      cause: error,
    });
  }
  return new CountersignError(
    'TOOL_FAILED',
    `${tool}: ${message}${phase === 'writing' ? '; it was rolled back' : ''}`,
    {
      fix: 'Correct the input as the message says, or ask the operator.',
      cause: error,
    },
  );
}

function unreachable(tool: string, cause: unknown): CountersignError {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : '';
  return new CountersignError('TOOL_UNAVAILABLE', `${tool}: the database cannot be reached${code}.`, {
    expected: 'a PostgreSQL server that answers at the configured address',
    fix: 'See that it runs and that the worker may reach it.',
    retryable: true,
    cause,
  });
}
