/** Failures of Postgres and of the way to it, as the errors that Countersign raises. */
import pg from 'pg';
import { ledgerBroken } from '../../action/errors-ledger.js';
import { CountersignError } from '../../action/errors.js';

/** SQLSTATEs that say that the tables are not there, or not yet as this version needs them. */
const NOT_MIGRATED = new Set(['3F000', '42P01', '42703', '42883']);

/** SQLSTATEs of a database that answers and takes no record. */
const NO_ROOM: Readonly<Record<string, { readonly is: string; readonly fix: string }>> = {
  '25006': {
    is: 'is read-only',
    fix: 'Nothing new is admitted. Point COUNTERSIGN_LEDGER_URL at the primary server, or let the database be written again.',
  },
  '53100': {
    is: 'is full',
    fix: "Nothing new is admitted. Make room on the disk of the ledger's database; what waits goes on by itself.",
  },
};

/** Whether the error says that nobody's records are taken, and not only those of one tenant. */
export function takesNobodys({ message }: { readonly message: string }): boolean {
  return Object.values(NO_ROOM).some(({ is }) => message.startsWith('The ledger at ') && message.includes(` ${is}: `));
}

/** Foreign keys and unique keys: a receipt does not fit to what is there. Nobody who uses the ledger alone can come to that. */
const OUT_OF_STEP = new Set(['23503', '23505']);

/** What an outcome is recorded in. */
const RECORDS = new Set(['receipts', 'chains', 'actions', 'resolved', 'trail']);

/** SQLSTATEs and classes under which the same call may succeed later, or after a failover. */
const PASSING = /^(08|53|55000|57|58|25P03|40001|40P01|55P03)/;

/** SQLSTATEs under which the connection is gone, or goes with the error. */
const CONNECTION_GONE = /^(08|57P01|57P02|57P05|25P03)/;

/** What pg and Node say, without an SQLSTATE, when a connection that worked is gone. */
const LOST = /^Connection terminated|connection error and is not queryable|ECONNRESET|EPIPE/;
const NEVER_CAME = /due to connection timeout/;

/**
 * Whether the connection broke under the call, so that a new one may well work at once. Not so when none could be made, or when
 * the server did not answer in time.
 */
export function lostConnection(error: unknown): boolean {
  if (error instanceof CountersignError) return false;
  if (error instanceof pg.DatabaseError) return CONNECTION_GONE.test(error.code ?? '');
  const text = messageOf(error);
  return LOST.test(text) && !NEVER_CAME.test(text);
}

/**
 * Turns anything that a call to Postgres threw into one of our errors. Messages of `pg` hold no password; `place` must not either.
 *
 * @param place the server and database, for people
 */
export function ledgerError(error: unknown, place: string): CountersignError {
  if (error instanceof CountersignError) return error;
  if (error instanceof pg.DatabaseError) return databaseError(error, place);
  if (error instanceof TypeError || error instanceof RangeError) {
    return new CountersignError('INTERNAL', `The ledger was asked wrongly: ${error.message}`, { cause: error });
  }
  return unavailable(`The ledger at ${place} cannot be reached: ${messageOf(error)}`, error, {
    fix: 'Start Postgres, or correct the address of the ledger.',
  });
}

function databaseError(error: pg.DatabaseError, place: string): CountersignError {
  const state = error.code ?? '';
  const noRoom = NO_ROOM[state];
  if (noRoom !== undefined) {
    return ledgerBroken(`The ledger at ${place} ${noRoom.is}: ${error.message}`, { fix: noRoom.fix, cause: error });
  }
  if (OUT_OF_STEP.has(state) && RECORDS.has(error.table ?? '')) {
    return ledgerBroken(`The ledger at ${place} cannot take a receipt: ${error.message}`, { cause: error });
  }
  if (state === '23001' && error.table === 'canaries') {
    return new CountersignError('ACTION_CONFLICT', 'The action has the id of something else.', {
      field: 'actionId',
      expected: 'an actionId that was never used',
      fix: 'Use a new actionId for a new action.',
      cause: error,
    });
  }
  if (NOT_MIGRATED.has(state)) {
    return unavailable(`The ledger at ${place} is not set up for this version: ${error.message}`, error, {
      fix: 'Run `countersign setup`.',
    });
  }
  if (state === '57014') {
    return unavailable(`The ledger at ${place} did not answer in time: ${error.message}`, error, {
      fix: "Look for a long transaction that holds the ledger's locks, and at the load of the database.",
    });
  }
  if (PASSING.test(state)) {
    return unavailable(`The ledger at ${place} cannot answer now: ${error.message}`, error, {
      fix: "See the database's log.",
    });
  }
  if (state.startsWith('28') || state === '3D000' || state === '42501') {
    return unavailable(`The ledger at ${place} cannot be used: ${error.message}`, error, {
      fix: 'Correct the user, the password, the database or the privileges that the ledger is configured with.',
    });
  }
  if (state === '22021' || state === '22P05') {
    return new CountersignError('INVALID_TEXT', `The ledger cannot hold a text: ${error.message}`, {
      expected: 'well-formed Unicode text without NUL',
      fix: 'Remove the character.',
      cause: error,
    });
  }
  return new CountersignError('INTERNAL', `The ledger refused a statement: ${error.message} (SQLSTATE ${state})`, {
    cause: error,
  });
}

function unavailable(message: string, cause: unknown, options: { readonly fix: string }): CountersignError {
  return new CountersignError('LEDGER_UNAVAILABLE', message, { ...options, cause, retryable: true });
}

function messageOf(error: unknown): string {
  // Node tries each address of a host and puts the failures together under an empty message.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
