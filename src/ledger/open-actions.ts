/** Actions without an outcome, for those who look after what was left behind. */
import { sql } from 'kysely';
import type { Digest } from '../action/json.js';
import type { Database } from './database.js';
import { OPEN_ACTIONS_PAGE, type LedgerPort, type OpenAction } from './port.js';

interface OpenRow {
  readonly tenant: string;
  readonly action_id: string;
  readonly digest: Digest;
  readonly agent: string | null;
  readonly tool: string;
  readonly environment: string | null;
  readonly uses: number;
  readonly live: boolean;
  readonly admitted_at: string;
}

export async function openActions(
  database: Database,
  { olderThanMs, after }: Parameters<LedgerPort['openActions']>[0],
): Promise<readonly OpenAction[]> {
  const from = after ?? { admittedAt: '-infinity', tenant: '', actionId: '' };
  const rows = await database.rows({
    name: 'open_actions',
    query: sql<OpenRow>`
      select a.tenant, a.action_id, a.digest, a.agent, a.tool, a.environment, a.uses - a.returned as uses,
        to_char(a.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as admitted_at,
        exists (
          select from ${database.table('grants')} as g
          where g.tenant = a.tenant and g.action_id = a.action_id and g.used_at is null and g.expires_at > clock_timestamp()
        ) as live
      from ${database.table('actions')} as a
      where a.status is null
        and a.created_at <= statement_timestamp() - ${olderThanMs}::float8 * interval '1 millisecond'
        and (a.created_at, a.tenant, a.action_id) > (${from.admittedAt}::timestamptz, ${from.tenant}, ${from.actionId})
      order by a.created_at, a.tenant, a.action_id
      limit ${sql.lit(OPEN_ACTIONS_PAGE)}`,
  });
  return rows.map((row) => ({
    tenant: row.tenant,
    actionId: row.action_id,
    digest: row.digest,
    agent: row.agent,
    tool: row.tool,
    environment: row.environment,
    uses: row.uses,
    liveGrant: row.live,
    admittedAt: row.admitted_at,
  }));
}

/** A grant that is not there is unknown to whoever would use it, and refused. Callers who use one at this moment were first, or are refused. */
export async function voidGrants(database: Database, tenant: string, actionId: string): Promise<number> {
  const rows = await database.rows({
    name: 'void_grants',
    query: sql<{ jti: string }>`
      delete from ${database.table('grants')}
      where tenant = ${tenant} and action_id = ${actionId} and used_at is null
      returning jti`,
  });
  return rows.length;
}
