/** The columns that standing approvals and role delegations have in common. */
import { sql, type RawBuilder } from 'kysely';
import type { Digest } from '../../action/json.js';
import type { PersonAuthorization } from '../../action/person-authorization.js';
import type { Database } from '../database/database.js';

/** The columns of both tables, and of the revocation that ended it, if one did. */
export interface PersonAuthorizationRow {
  readonly tenant: string;
  readonly id: string;
  readonly given_by: string;
  readonly credentials: readonly string[];
  readonly reason: string;
  readonly statement: string;
  readonly digest: Digest;
  readonly given_at: Date;
  readonly until: Date;
  readonly ended_at?: Date | null;
  readonly ended_by?: string | null;
  readonly end_reason?: string | null;
}

/** To be joined to a row named `g`: when, by whom and why it was ended before its time. */
export function endOf(database: Database): RawBuilder<unknown> {
  return sql`
    left join lateral (
      select r.revoked_at as ended_at, r.revoked_by as ended_by, r.reason as end_reason
      from ${database.table('revocations')} as r
      where r.tenant = g.tenant and r.jti = any (g.credentials || g.id)
      order by r.revoked_at, r.jti
      limit 1
    ) as ending on true`;
}

export function toPersonAuthorization(row: PersonAuthorizationRow): PersonAuthorization {
  const { ended_at, ended_by, end_reason } = row;
  return {
    tenant: row.tenant,
    id: row.id,
    by: row.given_by,
    credentials: row.credentials,
    reason: row.reason,
    digest: row.digest,
    at: row.given_at.toISOString(),
    until: row.until.toISOString(),
    ...(ended_at && ended_by && end_reason
      ? { ended: { at: ended_at.toISOString(), by: ended_by, reason: end_reason } }
      : {}),
  };
}
