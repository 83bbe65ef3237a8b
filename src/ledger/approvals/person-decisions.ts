/** Records the decisions of people, one at a time for each person. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { canonical } from '../../action/json.js';
import type { ApprovalRecord, Verdict } from '../../action/outcome.js';
import { changed } from './list-changes.js';
import type { RecordedDecision, PersonDecision } from './approval-request-list.js';
import type { Database, PreparedStatement } from '../database/database.js';

interface DecidedRow {
  readonly action_id: string;
  readonly person: string;
  readonly verdict: Verdict;
  readonly waited_seconds: number | null;
  readonly prior_approvals: number;
  readonly over_rate_limit: boolean;
  readonly refused: boolean;
}

export async function decide(database: Database, request: PersonDecision): Promise<RecordedDecision> {
  const person = request.person.toLowerCase();
  const { schema } = database;
  const lock: PreparedStatement<unknown> = {
    name: 'one_by_one',
    query: sql`select pg_advisory_xact_lock(hashtextextended(${`${schema}/${request.tenant}/${person}`}, 0))`,
  };
  // A separate statement after the lock, so that its snapshot includes what the previous holder of the lock committed.
  const [row] = await database.transaction(async (session) => {
    const begun = [session.run('begin'), session.rows(lock)];
    const rows = session.rows(deciding(database, request, person));
    await Promise.all([...begun, rows, session.run('commit')]);
    return rows;
  });
  if (row?.action_id !== request.actionId || row.person !== person || row.verdict !== request.verdict) {
    throw new CountersignError('INTERNAL', 'The digest of a decision was recorded for another one.');
  }
  return {
    waitedSeconds: row.waited_seconds ?? 0,
    priorApprovals: row.prior_approvals,
    overRateLimit: row.over_rate_limit,
    refused: row.refused,
  };
}

function deciding(database: Database, request: PersonDecision, person: string): PreparedStatement<DecidedRow> {
  const { tenant, actionId, shownDigest, verdict, digest, windowSeconds, roles = [], reason } = request;
  const {
    overRateLimitFrom = null,
    refusedFrom = null,
    at = new Date().toISOString(),
    auth,
    passkey,
    delegatedRoles,
    self,
  } = request;
  const record: ApprovalRecord = {
    approver: request.person,
    roles,
    verdict,
    at,
    digest,
    ...(reason === undefined ? {} : { reason }),
    ...(auth === undefined ? {} : { auth }),
    ...(passkey === undefined ? {} : { passkey }),
    ...(delegatedRoles === undefined ? {} : { delegatedRoles }),
    ...(self === undefined ? {} : { self }),
  };
  const approving = sql.lit(verdict === 'approve');
  const decisions = database.table('decisions');
  return {
    name: `decide_${verdict}`,
    query: sql<DecidedRow>`
      with now as materialized (select clock_timestamp() as at),
      request as materialized (
        select first_asked_at from ${database.table('approval_requests')} where tenant = ${tenant} and action_id = ${actionId}
      ),
      counted as materialized (
        select count(distinct action_id)::int as approvals from ${decisions}, now
        where tenant = ${tenant} and person = ${person} and verdict = 'approve' and not refused
          and action_id <> ${actionId} and decided_at > now.at - ${windowSeconds}::float8 * interval '1 second'
      ),
      made as (
        insert into ${decisions} (
          tenant, digest, action_id, shown_digest, person, verdict, record, waited_seconds, prior_approvals, over_rate_limit, refused, decided_at
        )
        select
          ${tenant}, ${digest}, ${actionId}, ${shownDigest}, ${person}, ${verdict}, ${canonical(record)},
          case when request.first_asked_at is not null then
            round(greatest(0, extract(epoch from now.at - request.first_asked_at)), 3)::float8
          end, counted.approvals,
          ${approving} and coalesce(counted.approvals >= ${overRateLimitFrom}::int, false),
          ${approving} and coalesce(counted.approvals >= ${refusedFrom}::int, false), now.at
        from now cross join counted left join request on true
        on conflict (tenant, digest) do nothing
        returning action_id, person, verdict, waited_seconds, prior_approvals, over_rate_limit, refused
      ),
      ${changed(database, tenant, actionId, sql`made`)}
      select * from made
      union all
      select action_id, person, verdict, waited_seconds, prior_approvals, over_rate_limit, refused from ${decisions}
      where tenant = ${tenant} and digest = ${digest}`,
  };
}

export interface DecisionJson {
  readonly record: ApprovalRecord;
  readonly waited: number | null;
  readonly overRateLimit: boolean;
}

/** The select, as JSON, of the decisions on what a request (`a`) shows. */
export function decisionsSoFar(database: Database, tenant: string): RawBuilder<unknown> {
  return sql`coalesce((
    select json_agg(json_build_object('record', d.record, 'waited', d.waited_seconds, 'overRateLimit', d.over_rate_limit) order by d.decided_at)
    from (
      select distinct on (person, verdict) record, waited_seconds, over_rate_limit, decided_at from ${database.table('decisions')}
      where tenant = ${tenant} and action_id = a.action_id and shown_digest = a.shown_digest and not refused
        and decided_at >= a.asked_at
      order by person, verdict, decided_at
    ) as d
  ), '[]')`;
}

export function recordOf({ record, waited, overRateLimit }: DecisionJson): ApprovalRecord {
  return {
    ...record,
    ...(waited === null ? {} : { waitedSeconds: waited }),
    ...(overRateLimit ? { overRateLimit } : {}),
  };
}
