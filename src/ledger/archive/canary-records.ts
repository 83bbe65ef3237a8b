/** Canaries as people find them among actions: while one waits it looks like any other, and when it is over it says what it was. */
import { sql, type RawBuilder } from 'kysely';
import { canaryOutcome, endOf } from '../../action/canary.js';
import { ApprovalRequests } from '../approvals/approval-requests.js';
import { Canaries } from '../canaries/canaries.js';
import type { Database } from '../database/database.js';
import { Deliveries } from '../deliveries/deliveries.js';
import type { ArchivedRecord } from './archived-record.js';
import { archived, COLUMNS, within, type ArchiveFilter, type PagePosition, type SearchedRow } from './search.js';

/** The row of an action that waits, made of a canary (`c`) and its approval request (`k`). */
const ROW = sql`
  c.action_id, null::text as status, k.tool, k.agent, k.environment, null::text as effect, null::text as code, null::text as reason,
  null::text as summary, null::bigint as receipt_seq, null::text as receipt_hash, c.sent_at as created_at, null::timestamptz as ended_at,
  null::timestamptz as resolved_at, k.expires_at, k.reason as asked_because, k.summary as asked_summary`;

function rows(database: Database, tenant: string): RawBuilder<unknown> {
  return sql`
    select ${ROW} from ${database.table('canaries')} as c
    join ${database.table('approval_requests')} as k on k.tenant = c.tenant and k.action_id = c.action_id
    where c.tenant = ${tenant}`;
}

/** Those that wait, in the order of open actions. */
export function openCanaries(
  database: Database,
  tenant: string,
  filter: ArchiveFilter,
  place: PagePosition,
  limit: number,
): RawBuilder<SearchedRow> {
  const waiting = sql`${rows(database, tenant)} and c.ending is null and c.expires_at > statement_timestamp()`;
  return sql<SearchedRow>`
    select ${COLUMNS}, a.expires_at, a.asked_because, a.asked_summary from (${waiting}) as a
    where ${sql.join([sql`true`, ...within(filter, place, sql`a.asked_because`, sql`a.asked_summary`)], sql` and `)}
    order by a.created_at desc, a.action_id desc
    limit ${sql.lit(limit)}`;
}

/** All that is recorded of a canary, as of an action. Undefined when the tenant has none of this id. */
export async function canaryRecord(
  database: Database,
  tenant: string,
  actionId: string,
): Promise<ArchivedRecord | undefined> {
  const [found, approvalRequest, deliveries, canary] = await Promise.all([
    database.rows<SearchedRow>({
      name: 'canary_record',
      query: sql<SearchedRow>`
        select ${COLUMNS}, a.expires_at, a.asked_because, a.asked_summary
        from (${rows(database, tenant)} and c.action_id = ${actionId}) as a`,
    }),
    new ApprovalRequests(database).find(tenant, actionId),
    new Deliveries(database).list(tenant, actionId),
    new Canaries(database).find(tenant, actionId),
  ]);
  const [row] = found;
  if (row === undefined || approvalRequest === undefined || canary === undefined) return undefined;
  const end = endOf(canary);
  const outcome = end === undefined ? undefined : canaryOutcome(approvalRequest.shown, end);
  return {
    ...archived(tenant, row),
    ...(outcome === undefined
      ? {}
      : {
          status: outcome.status,
          reason: outcome.reason,
          ...(canary.endedAt === undefined ? {} : { endedAt: canary.endedAt }),
        }),
    proposalDigest: approvalRequest.shown.proposalDigest,
    ...(outcome === undefined ? {} : { outcome }),
    approvalRequest,
    decisions: [],
    deliveries,
    holds: [],
    receipts: [],
    revisedBy: [],
    undoneBy: [],
  };
}
