/** Admitting an action: one row for each action id, from its admission to its outcome, for good. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import type { HistoryClaim } from '../../action/history.js';
import type { HoldRequest, LimitReading } from '../../action/limits.js';
import { activeFreeze, toFreeze, type FreezeJson } from '../controls/freezes.js';
import { revokedCredential, toRevocation, type RevocationJson } from '../controls/revocations.js';
import type { Database, PreparedStatement } from '../database/database.js';
import type { StatementBatcher } from '../database/statement-batcher.js';
import { countersOf, demandRows, inOrderOf } from '../limits/demands.js';
import { brokenChain, chainBroken, type BrokenChain } from '../receipts/broken-chain.js';
import type { SeenHeads } from '../receipts/seen-heads.js';
import type { Admission, AdmitRequest } from './admission.js';
import { outcomeOf, type EndColumns } from './recorded-outcome.js';

interface AdmissionRow extends EndColumns {
  readonly digest: Digest;
  readonly broken: BrokenChain | null;
  readonly frozen: FreezeJson | null;
  readonly revoked: RevocationJson | null;
  /** Absent where nothing was asked of limits; null where it did not come to that. */
  readonly placed?: {
    readonly fits: boolean;
    readonly issued: boolean;
    readonly limits: readonly LimitReading[];
    /** Set when earlier actions have come to something else. */
    readonly changed?: unknown;
  } | null;
  readonly issued?: boolean;
  /** Of the grant, seconds since the epoch. */
  readonly issued_at: number;
  readonly expires_at: number;
}

interface Admitting {
  readonly database: Database;
  /** Puts those who ask for the same counters together: one transaction cannot lock them in another order than any other does. */
  readonly batcher: StatementBatcher;
  /** A ledger that ends before what was seen of it was set back, and admits nothing. */
  readonly heads: SeenHeads;
}

/** @throws CountersignError LEDGER_BROKEN where the tenant's chain could not take the receipt of what is admitted */
export async function admit({ database, batcher, heads }: Admitting, request: AdmitRequest): Promise<Admission> {
  const { tenant, digest, holds, history } = request;
  const statement = admissionOf(database, request, heads.of(tenant));
  const locks = [...(holds?.length ? [countersOf(tenant, holds)] : []), ...(history ? [locksOf(history)] : [])];
  const rows = locks.length === 0 ? await database.rows(statement) : await batcher.rows(locks.join('\n'), statement);
  const row = rows[0];
  if (row === undefined)
    throw new CountersignError('INTERNAL', 'The ledger neither admitted the action nor refused it.');
  if (row.digest !== digest) return { kind: 'conflict', digest: row.digest };
  const outcome = outcomeOf(tenant, row);
  if (outcome !== undefined) return { kind: 'ended', outcome };
  if (row.broken !== null) throw chainBroken(tenant, row.broken);
  if (row.frozen !== null) return { kind: 'frozen', freeze: toFreeze(row.frozen) };
  if (row.revoked !== null) return { kind: 'revoked', revocation: toRevocation(row.revoked) };
  if (holds === undefined && history === undefined) {
    return { kind: 'admitted', ...(await termOf(database, request, row, row.issued)) };
  }
  const { placed } = row;
  if (!placed) throw new CountersignError('INTERNAL', 'The ledger neither placed the holds nor refused them.');
  if (placed.changed !== undefined) return { kind: 'changed' };
  const limits = inOrderOf(holds ?? [], placed.limits);
  if (!placed.fits) return { kind: 'limited', limits };
  const term = await termOf(database, request, row, placed.issued);
  return { kind: 'admitted', ...term, ...(holds === undefined ? {} : { limits }) };
}

function admissionOf(database: Database, request: AdmitRequest, seen: number): PreparedStatement<AdmissionRow> {
  const { holds, history } = request;
  if (history !== undefined) return admissionWithHistory(database, request, seen, history);
  return holds === undefined ? admission(database, request, seen) : admissionWithHolds(database, request, seen, holds);
}

function admission(database: Database, request: AdmitRequest, seen: number): PreparedStatement<AdmissionRow> {
  const { tenant, actionId, agent, tool, grant } = request;
  return {
    name: 'admit',
    query: sql<AdmissionRow>`
      with ${registering(database, request, seen)},
      issued as (
        insert into ${database.table('grants')} (jti, tenant, action_id, agent, tool, expires_at)
        select ${grant.jti}, ${tenant}, ${actionId}, ${agent}, ${tool}, term.expires_at
        from free cross join term
        on conflict (jti) do nothing
        returning jti
      )
      select
        action.digest, action.outcome, action.receipt_seq, action.receipt_hash, ${TERM},
        (select row_to_json(broken) from broken) as broken,
        (select row_to_json(frozen) from frozen) as frozen,
        (select row_to_json(revoked) from revoked) as revoked,
        exists (select from issued) as issued
      from action cross join term`,
  };
}

function admissionWithHolds(
  database: Database,
  request: AdmitRequest,
  seen: number,
  holds: readonly HoldRequest[],
): PreparedStatement<AdmissionRow> {
  const { tenant, actionId, agent, tool, grant } = request;
  return {
    name: 'admit_with_holds',
    query: sql<AdmissionRow>`
      with ${registering(database, request, seen)},
      placed as materialized (
        select ${sql.id(database.schema, 'place_holds')}
          (${tenant}, ${actionId}, ${agent}, ${tool}, ${grant.jti}, term.expires_at, ${demandRows(holds)}::jsonb) as result
        from free cross join term
      )
      select
        action.digest, action.outcome, action.receipt_seq, action.receipt_hash, ${TERM},
        (select row_to_json(broken) from broken) as broken,
        (select row_to_json(frozen) from frozen) as frozen,
        (select row_to_json(revoked) from revoked) as revoked,
        (select result from placed) as placed
      from action cross join term`,
  };
}

/** What it asks of the marks: those who ask the same can be put together, as those can who ask for the same counters. */
function locksOf({ checks, marks }: HistoryClaim): string {
  const asked = checks.flatMap(({ possible, possibleIn }) => (possibleIn === undefined ? [] : possible));
  return JSON.stringify([marks, [...new Set(asked)].sort()]);
}

function admissionWithHistory(
  database: Database,
  request: AdmitRequest,
  seen: number,
  { checks, marks }: HistoryClaim,
): PreparedStatement<AdmissionRow> {
  const { tenant, actionId, agent, tool, grant, holds } = request;
  const demands = holds === undefined ? null : demandRows(holds);
  return {
    name: 'admit_with_history',
    query: sql<AdmissionRow>`
      with ${registering(database, request, seen)},
      placed as materialized (
        select ${sql.id(database.schema, 'place_with_history')}
          (${tenant}, ${actionId}, ${agent}, ${tool}, ${grant.jti}, term.expires_at, ${demands}::jsonb, ${JSON.stringify(checks)}::jsonb,
            ${marks}::text[]) as result
        from free cross join term
      )
      select
        action.digest, action.outcome, action.receipt_seq, action.receipt_hash, ${TERM},
        (select row_to_json(broken) from broken) as broken,
        (select row_to_json(frozen) from frozen) as frozen,
        (select row_to_json(revoked) from revoked) as revoked,
        (select result from placed) as placed
      from action cross join term`,
  };
}

const TERM = sql`
        extract(epoch from term.issued_at)::float8 as issued_at, extract(epoch from term.expires_at)::float8 as expires_at`;

/** The common table expressions that register the action, and give a row as `free` unless something stands against it. */
function registering(database: Database, request: AdmitRequest, seen: number): RawBuilder<unknown> {
  const { tenant, actionId, digest, agent, owner = null, tool, environment, reads = false, grant } = request;
  // The update changes nothing. It is there because only "do update" waits for a concurrent insert of the same action and returns
  // the row that won; "do nothing" returns no row, and a select beside it reads a snapshot from before.
  return sql`
    action as (
      insert into ${database.table('actions')} as a (tenant, action_id, digest, agent, owner, tool, environment, reads)
      values (${tenant}, ${actionId}, ${digest}, ${agent}, ${owner}, ${tool}, ${environment}, ${reads})
      on conflict (tenant, action_id) do update set digest = a.digest
      returning a.digest, a.outcome, a.receipt_seq, a.receipt_hash
    ),
    term as materialized (
      select issued_at, issued_at + ${grant.ttlSeconds}::int * interval '1 second' as expires_at
      from (select date_trunc('second', clock_timestamp()) as issued_at) as now
    ),
    broken as materialized (${brokenChain(database, sql`${tenant}::text`, seen)}),
    frozen as materialized (${activeFreeze(database, request)}),
    revoked as materialized (${revokedCredential(database, request)}),
    free as (
      select from action
      where action.digest = ${digest} and action.receipt_seq is null
        and not exists (select from broken) and not exists (select from frozen) and not exists (select from revoked)
    )`;
}

type Term = Pick<Extract<Admission, { kind: 'admitted' }>, 'issuedAt' | 'expiresAt'>;

/** From when until when the grant is valid. One that was there before is that of a repeated call, or a forgery. */
async function termOf(
  database: Database,
  request: AdmitRequest,
  { issued_at: issuedAt, expires_at: expiresAt }: AdmissionRow,
  issued: boolean | undefined,
): Promise<Term> {
  if (issued === true) return { issuedAt, expiresAt };
  const { jti, ttlSeconds } = request.grant;
  const same = await database.ask((kysely) =>
    kysely
      .selectFrom('grants')
      .select('expires_at')
      .where('jti', '=', jti)
      .where('tenant', '=', request.tenant)
      .where('action_id', '=', request.actionId)
      .where('agent', '=', request.agent)
      .where('tool', '=', request.tool)
      .executeTakeFirst(),
  );
  if (same === undefined) {
    throw new CountersignError('GRANT_INVALID', 'This grant id was issued before for something else.', {
      field: 'grant.jti',
      expected: 'an id that no other grant has',
      fix: 'Sign a grant with a new id.',
    });
  }
  const until = same.expires_at.getTime() / 1000;
  return { issuedAt: until - ttlSeconds, expiresAt: until };
}
