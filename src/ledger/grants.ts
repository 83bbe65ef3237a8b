/** Using a grant, once. */
import { sql } from 'kysely';
import type { Database } from './database.js';
import { activeFreeze, toFreeze, type FreezeJson } from './freezes.js';
import type { GrantUse, ReturnGrantRequest, UseGrantRequest } from './port.js';
import { revokedCredential, toRevocation, type RevocationJson } from './revocations.js';

interface GrantRow {
  readonly used_by: string | null;
  /** These two are null where the action has no such grant. */
  readonly live: boolean | null;
  readonly returned: boolean | null;
  readonly ended: boolean;
  /** How many other grants of the action were used before this call, and not returned. */
  readonly others: number;
  /** How many grants of the action were used and not returned, after this call; null when it used none. */
  readonly uses_now: number | null;
  readonly frozen: FreezeJson | null;
  readonly revoked: RevocationJson | null;
}

export async function useGrant(database: Database, request: UseGrantRequest): Promise<GrantUse> {
  const { jti, tenant, actionId, agent, tool, usedBy } = request;
  const rows = await database.rows({
    name: 'use_grant',
    // Race by race: callers with one grant queue at its row, and each reads it as the one before left it ("for update" does, whatever
    // the snapshot). Grants of one action queue at the action's row, so that its count is exact; so does the settling of the action,
    // and "receipt_seq is null" is judged after the wait.
    query: sql<GrantRow>`
      with locked as materialized (
        select used_by, returned_at, expires_at from ${database.table('grants')}
        where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and agent = ${agent} and tool = ${tool}
        for update
      ),
      "grant" as materialized (
        select used_by, returned_at is not null as returned, expires_at > clock_timestamp() as live from locked
      ),
      frozen as materialized (${activeFreeze(database, request)}),
      revoked as materialized (${revokedCredential(database, request)}),
      counted as (
        update ${database.table('actions')} as a set uses = a.uses + 1
        from "grant"
        where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null
          and "grant".used_by is null and "grant".live
          and not exists (select from frozen) and not exists (select from revoked)
        returning a.uses - a.returned as uses
      ),
      used as (
        update ${database.table('grants')} as g set used_at = clock_timestamp(), used_by = ${usedBy}
        from counted
        where g.jti = ${jti}
      )
      select
        "grant".used_by, "grant".returned, "grant".live,
        a.status is not null as ended,
        -- Both from one snapshot, and so exact for that moment: "grant" may be as of later.
        a.uses - a.returned - (
          select count(*)::int from ${database.table('grants')}
          where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and used_at is not null and returned_at is null
        ) as others,
        (select uses from counted) as uses_now,
        (select row_to_json(frozen) from frozen) as frozen,
        (select row_to_json(revoked) from revoked) as revoked
      from ${database.table('actions')} as a
      left join "grant" on true
      where a.tenant = ${tenant} and a.action_id = ${actionId}`,
  });
  const row = rows[0];
  if (row === undefined) return { kind: 'unknown', otherUses: 0 };
  if (row.uses_now !== null) return { kind: 'first', otherUses: row.uses_now - 1 };
  const otherUses = row.others;
  if (row.live === null) return { kind: 'unknown', otherUses };
  if (row.ended) return { kind: 'ended', otherUses };
  if (row.used_by !== null && row.used_by !== usedBy) return { kind: 'replayed', otherUses, usedBy: row.used_by };
  if (row.returned) return { kind: 'returned', otherUses };
  if (row.used_by !== null) {
    return {
      kind: 'again',
      otherUses,
      ...(row.frozen === null ? {} : { freeze: toFreeze(row.frozen) }),
      ...(row.revoked === null ? {} : { revocation: toRevocation(row.revoked) }),
    };
  }
  if (row.frozen !== null) return { kind: 'frozen', otherUses, freeze: toFreeze(row.frozen) };
  if (row.revoked !== null) return { kind: 'revoked', otherUses, revocation: toRevocation(row.revoked) };
  if (!row.live) return { kind: 'expired', otherUses };
  // Usable when the statement began, and not used by it: the action ended meanwhile.
  return { kind: 'ended', otherUses };
}

/** Locks in the order in which a grant is used: the grant, then its action. */
export async function returnGrant(database: Database, request: ReturnGrantRequest): Promise<boolean> {
  const { jti, tenant, actionId, usedBy } = request;
  const rows = await database.rows({
    name: 'return_grant',
    query: sql<{ jti: string }>`
      with locked as materialized (
        select jti from ${database.table('grants')}
        where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and used_by = ${usedBy} and returned_at is null
        for update
      ),
      counted as (
        update ${database.table('actions')} as a set returned = a.returned + 1
        from locked
        where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null
        returning a.action_id
      )
      update ${database.table('grants')} as g set returned_at = clock_timestamp()
      from counted
      where g.jti = ${jti}
      returning g.jti`,
  });
  return rows.length > 0;
}
