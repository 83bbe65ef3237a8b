/** What standing approvals and duties have in common: a person gave them in a signed statement, and they end. */
import { sql, type RawBuilder } from 'kysely';
import type { Digest } from '../action/json.js';
import type { Database } from './database.js';

export interface Given {
  readonly tenant: string;
  /** The `jti` of the statement that gave it. Revoked, it is over. */
  readonly id: string;
  /** Who gave it. */
  readonly by: string;
  /** Ids of what the giver's standing rested on: one revoked, and it is over. */
  readonly credentials: readonly string[];
  /** Why, in the giver's words. */
  readonly reason: string;
  /** Digest of the signed statement. */
  readonly digest: Digest;
  /** RFC 3339 UTC, by the database's clock. */
  readonly at: string;
  /** From then on it is over, RFC 3339 UTC. */
  readonly until: string;
  /** Set when it was taken back, or a credential of the giver was revoked. */
  readonly ended?: { readonly at: string; readonly by: string; readonly reason: string };
}

/** What is added: as the statement says it. */
export type Adding<T extends Given> = Omit<T, 'at' | 'ended'> & {
  /** The signed statement itself. */
  readonly statement: string;
};

/** With the statement itself: whoever acts on it verifies that it says what the row does. */
export type Signed<T extends Given> = T & { readonly statement: string };

/** The columns of both tables, and of the revocation that ended it, if one did. */
export interface GivenRow {
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

export function toGiven(row: GivenRow): Given {
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
