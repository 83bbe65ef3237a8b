/** What tells whether the list of what waits for people is still as it was. */
import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../database/database.js';

/** How many rows tell of changes: those who change the list at once wait for each other one time in so many. */
const PARTS = 16;

/** The common table expression that makes the fingerprint another, when `source` has a row. */
export function changed(
  database: Database,
  tenant: string,
  actionId: string,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    changed as (
      insert into ${database.table('approval_request_changes')} as c (tenant, part, version)
      select ${tenant}, abs(hashtext(${actionId}) % ${sql.lit(PARTS)}), 1 from ${source}
      on conflict (tenant, part) do update set version = c.version + 1
    )`;
}

/** The common table expressions that take the request of an action off the list, where `source` has a row. The row is found by key, never by the list. */
export function closing(
  database: Database,
  { tenant, actionId }: { readonly tenant: string; readonly actionId: string },
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    closed as (
      update ${database.table('approval_requests')} as k set closed_at = clock_timestamp()
      where k.tenant = ${tenant} and k.action_id = ${actionId} and coalesce(k.closed_at, 'infinity') = 'infinity'
        and exists (select from ${source})
      returning k.action_id
    ),
    ${changed(database, tenant, actionId, sql`closed`)}`;
}

export async function fingerprint(database: Database, tenant: string): Promise<string> {
  const [row] = await database.rows<{ version: string }>({
    name: 'approval_requests_fingerprint',
    query: sql<{ version: string }>`
      select coalesce(sum(version), 0)::text as version from ${database.table('approval_request_changes')} where tenant = ${tenant}`,
  });
  return row?.version ?? '0';
}
