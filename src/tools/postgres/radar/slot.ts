/** The replication slot: where the radar has come to in the database's log, and what the database keeps for it. */
import { CountersignError } from '../../../action/errors.js';
import type { PostgresSession } from '../connection.js';
import { asFailure, sqlState } from '../failure.js';
import type { Decoded } from './decode.js';
import { runFixed } from './fixed-session.js';
import { MESSAGE_PREFIX } from './messages.js';

export interface SlotStanding {
  readonly exists: boolean;
  /** Whether the database has removed what the slot still needed. */
  readonly lost: boolean;
  /** What the database keeps for it. Bytes. */
  readonly lagBytes: number;
  /** Up to where everything is judged. An LSN; empty where there is no slot. */
  readonly confirmed: string;
  /** The end of what is on disk. An LSN. */
  readonly flushed: string;
  /** Names the server's data and the database in it. */
  readonly system: string;
  readonly now: Date;
}

const STANDING_SQL = `
SELECT s.slot_name IS NOT NULL, coalesce(s.wal_status = 'lost' OR to_jsonb(s) ->> 'invalidation_reason' IS NOT NULL, false),
  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint, coalesce(s.confirmed_flush_lsn::text, ''), pg_current_wal_flush_lsn()::text,
  (SELECT system_identifier FROM pg_control_system())::text || '/' || current_database(), extract(epoch from clock_timestamp()) * 1000
FROM (VALUES (1)) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1`;

export async function slotStanding(session: PostgresSession, slot: string, signal: AbortSignal): Promise<SlotStanding> {
  const [result] = await runFixed(session, [{ text: STANDING_SQL, values: [slot] }], signal);
  const [exists, lost, lag, confirmed, flushed, system, now] = result?.rows[0] ?? [];
  return {
    exists: exists === 't',
    lost: lost === 't',
    lagBytes: Number(lag),
    confirmed: confirmed ?? '',
    flushed: flushed ?? '',
    system: system ?? '',
    now: new Date(Number(now)),
  };
}

/** Messages after which a read ends, at the end of a transaction. */
const BATCH_MESSAGES = 20_000;

/** Different messages of one transaction, and keys, that are read; what is beyond is put together, and says that there is more. */
const MOST_MESSAGES = 10_000;
const MOST_KEYS = 1_000;

/**
 * The database puts together what says the same, so that a transaction of a million rows is a few rows here, and no value of any row leaves the
 * database: of a change only its table is read, and of an effect its key. Messages of one transaction differ in their place alone, which is left
 * out. Those that are in no transaction end a read as well, and may be all that there is: of these the place is read.
 */
const PEEK_SQL = `
WITH said AS (
  SELECT d.ord, d.xid, get_byte(d.data, 0) AS kind,
    CASE WHEN get_byte(d.data, 0) IN (73, 85, 68) THEN substr(d.data, 2, 4) END AS relation,
    CASE get_byte(d.data, 0)
      WHEN 66 THEN d.data WHEN 67 THEN d.data WHEN 84 THEN d.data
      WHEN 82 THEN substr(d.data, 1, 140)
      WHEN 77 THEN CASE WHEN substr(d.data, 11, ${MESSAGE_PREFIX.length}) = '${MESSAGE_PREFIX}'::bytea
        THEN substr(d.data, 1, 2) || '\\x0000000000000000'::bytea || substr(d.data, 11, 1014) END
      WHEN 73 THEN CASE WHEN substr(d.data, 2, 4) = effects.oid THEN substr(d.data, 1, 1024) END
      WHEN 68 THEN CASE WHEN substr(d.data, 2, 4) = effects.oid THEN substr(d.data, 1, 1) END
    END AS detail,
    CASE WHEN get_byte(d.data, 0) = 77 AND get_byte(d.data, 1) = 0 THEN d.lsn END AS place
  FROM (SELECT decode(lpad(to_hex(coalesce(to_regclass($4)::oid, 0::oid)::bigint), 8, '0'), 'hex') AS oid) effects,
    pg_logical_slot_peek_binary_changes($1, $2::pg_lsn, ${BATCH_MESSAGES}, 'proto_version', '1', 'publication_names', $3, 'messages', 'true')
      WITH ORDINALITY AS d (lsn, xid, data, ord)
), put AS (
  SELECT xid, kind, relation, detail, count(*) AS n, min(ord) AS ord, max(place) AS place FROM said GROUP BY xid, kind, relation, detail
), bounded AS (
  SELECT xid, kind, relation, n, ord, place, CASE WHEN kind IN (73, 77) AND detail IS NOT NULL
      AND row_number() OVER (PARTITION BY xid::text, kind, detail IS NULL ORDER BY ord) > CASE kind WHEN 73 THEN ${MOST_KEYS} ELSE ${MOST_MESSAGES} END
    THEN substr(detail, 1, 1) ELSE detail END AS detail
  FROM put
)
SELECT xid::text, chr(kind), encode(relation, 'hex'), encode(detail, 'hex'), sum(n), max(place)::text
FROM bounded GROUP BY xid, kind, relation, detail ORDER BY min(ord)`;

export interface Peek {
  readonly slot: string;
  /** Transactions that were committed before. An LSN. */
  readonly upTo: string;
  readonly publications: readonly string[];
  /** The table of effects, as it stands in SQL. */
  readonly effects: string;
}

/** Whether a read of so many messages may have ended before its end. */
export function isCut(messages: number): boolean {
  return messages >= BATCH_MESSAGES;
}

/** Reads without taking anything away. */
export async function peek(
  session: PostgresSession,
  { slot, upTo, publications, effects }: Peek,
  signal: AbortSignal,
): Promise<readonly Decoded[]> {
  const values = [slot, upTo, publications.join(','), effects];
  const [result] = await runFixed(session, [{ text: PEEK_SQL, values }], signal);
  return (result?.rows ?? []).map(([xid, kind, relation, detail, count, place]) => ({
    xid: xid ?? '',
    kind: kind ?? '',
    relation: relation ?? null,
    detail: detail ?? null,
    count: Number(count),
    place: place ?? null,
  }));
}

/** The database may forget what lies before. Going back is not possible, and not needed: another reader was further. */
export async function advance(session: PostgresSession, slot: string, to: string, signal: AbortSignal): Promise<void> {
  try {
    await runFixed(
      session,
      [{ text: 'SELECT pg_replication_slot_advance($1, $2::pg_lsn)', values: [slot, to] }],
      signal,
    );
  } catch (error) {
    if (sqlState(error) !== '55000') throw error;
  }
}

/**
 * @returns where it begins, an LSN; undefined where it is there already
 * @throws CountersignError CONFIG_INVALID with what an administrator has to do
 */
export async function createSlot(
  session: PostgresSession,
  slot: string,
  tool: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  await assertLogical(session, tool, signal);
  try {
    const text = `SELECT lsn FROM pg_create_logical_replication_slot($1, 'pgoutput')`;
    const [made] = await runFixed(session, [{ text, values: [slot] }], signal);
    return made?.rows[0]?.[0] ?? undefined;
  } catch (error) {
    // Another worker has just made it.
    if (sqlState(error) === '42710') return undefined;
    if (sqlState(error) === '42501')
      throw mayNot(tool, 'make a replication slot', 'ALTER ROLE <role> REPLICATION;', error);
    if (sqlState(error) === '53400') {
      throw mayNot(
        tool,
        'make another replication slot',
        "ALTER SYSTEM SET max_replication_slots = '20'; and restart the server.",
        error,
      );
    }
    throw error;
  }
}

export async function dropSlot(session: PostgresSession, slot: string, signal: AbortSignal): Promise<void> {
  try {
    await runFixed(session, [{ text: 'SELECT pg_drop_replication_slot($1)', values: [slot] }], signal);
  } catch (error) {
    if (sqlState(error) !== '42704') throw error;
  }
}

/** @throws CountersignError CONFIG_INVALID where the server's log says nothing of rows */
export async function assertLogical(session: PostgresSession, tool: string, signal: AbortSignal): Promise<void> {
  const text = `SELECT current_setting('wal_level'), pg_is_in_recovery()`;
  const [result] = await runFixed(session, [{ text }], signal);
  const [level, standby] = result?.rows[0] ?? [];
  if (standby === 't') {
    throw new CountersignError('CONFIG_INVALID', `The radar of ${tool} cannot watch a standby.`, {
      field: 'radar.url',
      expected: 'the address of the primary',
      fix: 'Give the address of the primary in radar.url.',
    });
  }
  if (level === 'logical') return;
  throw new CountersignError(
    'CONFIG_INVALID',
    `The radar of ${tool} cannot read the database's log: wal_level is ${level}.`,
    {
      field: 'radar',
      expected: 'a server with wal_level = logical',
      fix: "Have an administrator run: ALTER SYSTEM SET wal_level = 'logical'; and restart the server.",
    },
  );
}

/** What the role of the radar lacks. */
export function mayNot(tool: string, what: string, sql: string, cause: unknown): CountersignError {
  return new CountersignError('CONFIG_INVALID', `The role of the radar of ${tool} may not ${what}.`, {
    field: 'radar',
    fix: `Have an administrator run: ${sql}`,
    cause,
  });
}

/** An error of the slot or of what is read with it, for people. */
export function radarFailure(error: unknown, tool: string): CountersignError {
  if (error instanceof CountersignError) return error;
  const state = sqlState(error);
  if (state === '55006' || state === '55P03' || state === '57014') {
    const message = error instanceof Error ? error.message : String(error);
    return new CountersignError('TOOL_UNAVAILABLE', `The radar of ${tool} has to wait: ${message}.`, {
      retryable: true,
      fix: 'It tries again by itself; a transaction that never ends is in pg_stat_activity.',
      cause: error,
    });
  }
  return asFailure(error, { tool: `the radar of ${tool}`, phase: 'writing' });
}
