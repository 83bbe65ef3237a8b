/** Grants: used once, returned when nothing was sent under them, deleted while nobody used them. */
import { sql } from 'kysely';
import { activeFreeze, toFreeze, type FreezeJson } from '../controls/freezes.js';
import { revokedCredential, toRevocation, type RevocationJson } from '../controls/revocations.js';
import { unwatched } from '../radar/unwatched.js';
import type { Database } from '../database/database.js';
import type { CountSendRequest, GrantHolder, GrantUse, SendCount, SendRefusal, UseGrantRequest } from './grant-use.js';
import { attemptOf, countedSend, countSend, NO_ATTEMPT, refusalOf, sentNow } from './sends.js';

interface GrantRow {
  readonly used_by: string | null;
  /** The last attempt that used it before this call. */
  readonly attempt: number | null;
  /** These two are null where the action has no such grant. */
  readonly live: boolean | null;
  readonly returned: boolean | null;
  readonly ended: boolean;
  /** How many other grants of the action were used before this call, and not returned. */
  readonly others: number;
  /** How many grants of the action were used and not returned, after this call; null when it used none. */
  readonly uses_now: number | null;
  readonly sent: SendCount | null;
  /** When this call came to the grant. Seconds since the epoch. */
  readonly at: number | null;
  readonly frozen: FreezeJson | null;
  readonly revoked: RevocationJson | null;
  readonly unwatched: boolean;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Grants {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Uses a grant, once: of any number of callers that race, one gets `first`. One round trip. */
  async use(request: UseGrantRequest): Promise<GrantUse> {
    const { jti, tenant, actionId, agent, tool, usedBy, stretchMs } = request;
    const attempt = attemptOf(request);
    const rows = await this.#database.rows({
      name: 'use_grant',
      // Race by race: callers with one grant queue at its row, and each reads it as the one before left it ("for update" does, whatever
      // the snapshot). Grants of one action queue at the action's row, so that its count is exact; so does the settling of the action,
      // and "receipt_seq is null" is judged after the wait.
      query: sql<GrantRow>`
        with locked as materialized (
          select used_by, attempt, returned_at, expires_at from ${this.#database.table('grants')}
          where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and agent = ${agent} and tool = ${tool}
          for update
        ),
        "grant" as materialized (
          select used_by, attempt, returned_at is not null as returned, expires_at > at as live, at
          from (select *, clock_timestamp() as at from locked) as now
        ),
        frozen as materialized (${activeFreeze(this.#database, request)}),
        revoked as materialized (${revokedCredential(this.#database, request)}),
        unwatched as materialized (${unwatched(this.#database, request)}),
        counted as (
          update ${this.#database.table('actions')} as a set uses = a.uses + 1, ${countedSend(stretchMs)}
          from "grant"
          where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null
            and "grant".used_by is null and "grant".live
            and not exists (select from frozen) and not exists (select from revoked) and not exists (select from unwatched)
          returning a.uses - a.returned as uses, ${sentNow}
        ),
        used as (
          update ${this.#database.table('grants')} as g set used_at = clock_timestamp(), used_by = ${usedBy}, attempt = ${attempt}
          from counted
          where g.jti = ${jti}
        ),
        overtaking as (
          update ${this.#database.table('grants')} as g set attempt = ${attempt}
          from "grant"
          where g.jti = ${jti} and "grant".used_by = ${usedBy} and "grant".attempt < ${attempt}
        )
        select
          "grant".used_by, "grant".attempt, "grant".returned, "grant".live, extract(epoch from "grant".at)::float8 as at,
          a.status is not null as ended,
          -- Both from one snapshot, and so exact for that moment: "grant" may be as of later.
          a.uses - a.returned - (
            select count(*)::int from ${this.#database.table('grants')}
            where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and used_at is not null and returned_at is null
          ) as others,
          (select uses from counted) as uses_now,
          (select sent from counted) as sent,
          (select row_to_json(frozen) from frozen) as frozen,
          (select row_to_json(revoked) from revoked) as revoked,
          exists (select from unwatched) as unwatched
        from ${this.#database.table('actions')} as a
        left join "grant" on true
        where a.tenant = ${tenant} and a.action_id = ${actionId}`,
    });
    const row = rows[0];
    if (row === undefined) return { kind: 'unknown', otherUses: 0 };
    if (row.uses_now !== null && row.sent !== null && row.at !== null) {
      return { kind: 'first', otherUses: row.uses_now - 1, sent: row.sent, usedAt: row.at };
    }
    const otherUses = row.others;
    if (row.live === null) return { kind: 'unknown', otherUses };
    if (row.ended) return { kind: 'ended', otherUses };
    if (row.used_by !== null && row.used_by !== usedBy) return { kind: 'replayed', otherUses, usedBy: row.used_by };
    if (row.returned) return { kind: 'returned', otherUses };
    if (row.attempt !== null && row.attempt > attempt) return { kind: 'overtaken', otherUses };
    if (row.used_by !== null) {
      return {
        kind: 'again',
        otherUses,
        ...(row.frozen === null ? {} : { freeze: toFreeze(row.frozen) }),
        ...(row.revoked === null ? {} : { revocation: toRevocation(row.revoked) }),
        ...(row.unwatched ? { unwatched: true } : {}),
      };
    }
    if (row.frozen !== null) return { kind: 'frozen', otherUses, freeze: toFreeze(row.frozen) };
    if (row.revoked !== null) return { kind: 'revoked', otherUses, revocation: toRevocation(row.revoked) };
    if (row.unwatched) return { kind: 'unwatched', otherUses };
    if (!row.live) return { kind: 'expired', otherUses };
    // Usable when the statement began, and not used by it: the action ended meanwhile.
    return { kind: 'ended', otherUses };
  }

  /** Counts one more send of an action, before it is made. The first send under a grant is counted by its use. */
  countSend(request: CountSendRequest): Promise<SendCount | SendRefusal> {
    return countSend(this.#database, request);
  }

  /** Why an attempt that used a grant some time ago may send nothing under it any more; undefined where it may. */
  sendRefused(holder: GrantHolder): Promise<SendRefusal | undefined> {
    return refusalOf(this.#database, holder);
  }

  /** Takes back the count of one send that was not made. */
  async discountSend(tenant: string, actionId: string): Promise<void> {
    await this.#database.rows({
      name: 'discount_send',
      query: sql<{ sends: number }>`
        update ${this.#database.table('actions')} as a set sends = a.sends - 1
        where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null and a.sends > 0
        returning a.sends`,
    });
  }

  /**
   * Records that nothing was sent under a used grant: it counts no more among those whose effect may have been made, and stays used. To
   * be called only by an attempt that was the first.
   *
   * @returns whether it was recorded; not, when it was before, a later attempt may have sent something, or the action has ended
   */
  async return({ jti, tenant, actionId, usedBy, ...request }: GrantHolder): Promise<boolean> {
    const attempt = attemptOf(request);
    // It locks in the order in which a grant is used: the grant, then its action.
    const rows = await this.#database.rows({
      name: 'return_grant',
      query: sql<{ jti: string }>`
        with locked as materialized (
          select jti from ${this.#database.table('grants')}
          where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and used_by = ${usedBy} and attempt = ${attempt}
            and returned_at is null
          for update
        ),
        counted as (
          update ${this.#database.table('actions')} as a set returned = a.returned + 1
          from locked
          where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null
          returning a.action_id
        )
        update ${this.#database.table('grants')} as g set returned_at = clock_timestamp()
        from counted
        where g.jti = ${jti}
        returning g.jti`,
    });
    return rows.length > 0;
  }

  /**
   * Lets nothing be sent any more under the grants that the action has: those that were not used are deleted, so that whoever would use one
   * finds it unknown, and those that were used belong to no attempt any more. Callers who use one at this moment were first, or are refused.
   * What was sent before this is for the tool's look-up to find.
   *
   * @returns how many were not used
   */
  async stopSends(tenant: string, actionId: string): Promise<number> {
    const grants = this.#database.table('grants');
    const rows = await this.#database.rows({
      name: 'delete_unused_grants',
      query: sql<{ jti: string }>`
        delete from ${grants}
        where tenant = ${tenant} and action_id = ${actionId} and used_at is null
        returning jti`,
    });
    // A statement of its own, so that it finds the one that was used while the other waited for it.
    await this.#overtake(tenant, actionId);
    return rows.length;
  }

  /** Lets nothing be sent any more under the other grants of the action that were used: by runs that were ended, and may not know it. */
  async stopOthers({ jti, tenant, actionId }: Pick<GrantHolder, 'jti' | 'tenant' | 'actionId'>): Promise<void> {
    await this.#overtake(tenant, actionId, jti);
  }

  async #overtake(tenant: string, actionId: string, except: string | null = null): Promise<void> {
    await this.#database.rows({
      name: 'overtake_grants',
      query: sql<{ jti: string }>`
        update ${this.#database.table('grants')} set attempt = ${sql.lit(NO_ATTEMPT)}
        where tenant = ${tenant} and action_id = ${actionId} and used_at is not null and attempt <> ${sql.lit(NO_ATTEMPT)}
          and jti is distinct from ${except}::text
        returning jti`,
    });
  }
}
