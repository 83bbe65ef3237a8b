/**
 * Forgets what nothing needs any more, a bounded number at a time. Never: actions and their outcomes, receipts, decisions, revocations,
 * and whatever an action that is open or unknown may still need.
 */
import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../database/database.js';

/** In the order in which they are purged: what refers to something goes before it. */
export const RETENTION_KINDS = ['approvalRequests', 'holds', 'grants', 'snapshots', 'counters', 'sessions'] as const;
export type RetentionKind = (typeof RETENTION_KINDS)[number];

export interface PurgeRequest {
  /** What was over for longer than this goes. Milliseconds. */
  readonly olderThanMs: number;
  /** At most so many. */
  readonly limit: number;
}

/** By the ledger's clock. */
function ago(ms: number): RawBuilder<unknown> {
  return sql`clock_timestamp() - make_interval(secs => ${ms / 1000}::float8)`;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Retention {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @returns how many went; fewer than the limit when there are no more */
  async purge(kind: RetentionKind, { olderThanMs, limit }: PurgeRequest): Promise<number> {
    const before = ago(olderThanMs);
    const { table, over } = this.#kinds[kind];
    if (kind === 'sessions' && !(await this.#exists(table))) return 0;
    const rows = await this.#database.rows({
      name: `purge_${kind}`,
      query: sql<{ gone: number }>`
        delete from ${this.#database.table(table as never)} where ctid = any(array(
          select t.ctid from ${this.#database.table(table as never)} as t
          where ${over(before)}
          limit ${limit}
          for update of t skip locked
        ))
        returning 1 as gone`,
    });
    return rows.length;
  }

  /** Those of these actions that ended for good, longer ago than this. */
  async endedLongAgo(
    actions: readonly { readonly tenant: string; readonly actionId: string }[],
    olderThanMs: number,
  ): Promise<ReadonlySet<string>> {
    const before = ago(olderThanMs);
    const rows = await this.#database.rows({
      name: 'ended_long_ago',
      query: sql<{ name: string }>`
        select t.tenant || '/' || t.action_id as name
        from unnest(${actions.map(({ tenant }) => tenant)}::text[], ${actions.map(({ actionId }) => actionId)}::text[])
          as t (tenant, action_id)
        where ${this.#settled(before)}`,
    });
    return new Set(rows.map(({ name }) => name));
  }

  readonly #kinds: Readonly<Record<RetentionKind, Kind>> = {
    // What people were shown. What they decided stays, and so does the outcome.
    approvalRequests: {
      table: 'approval_requests',
      over: (before) => sql`t.closed_at < ${before} and (${this.#settled(before)} or ${this.#canaryEnded(before)})`,
    },
    // What a limit held for an action that has ended. What is kept for one that is unknown is not settled.
    holds: {
      table: 'holds',
      over: (before) => sql`t.settled_at < ${before} and ${this.#settled(before)}`,
    },
    // A grant of an action that has ended is refused for that, and an expired one as unknown: without its row it can be used no more than with it.
    grants: {
      table: 'grants',
      over: (before) => sql`t.expires_at < ${before} and ${this.#settled(before)}`,
    },
    // An action that was open when a state was stored, or soon after, may have to read it again.
    snapshots: {
      table: 'snapshots',
      over: (before) => sql`t.stored_at < ${before} and not exists (
        select from ${this.#database.table('actions')} as a
        where a.tenant = t.tenant and (a.status is null or (a.status = 'unknown' and a.resolved_at is null))
          and a.created_at < t.stored_at + interval '1 day')`,
    },
    // A new one would be the same. The database holds that too.
    counters: {
      table: 'limit_counters',
      over: (before) => sql`t.updated_at < ${before} and ${this.#function('counter_over')}(t)
        and not exists (
          select from ${this.#database.table('holds')} as h
          where h.tenant = t.tenant and h."limit" = t."limit" and h.key = t.key and h.kind = t.kind and h.settled_at is null)`,
    },
    sessions: { table: 'sessions', over: (before) => sql`t.expires_at < ${before}` },
  };

  /** That the action of the row has ended for good, as long ago as that: what is unknown may still be resolved. */
  #settled(before: RawBuilder<unknown>): RawBuilder<unknown> {
    return sql`exists (
      select from ${this.#database.table('actions')} as a
      where a.tenant = t.tenant and a.action_id = t.action_id and a.ended_at < ${before}
        and (a.status <> 'unknown' or a.resolved_at is not null))`;
  }

  #canaryEnded(before: RawBuilder<unknown>): RawBuilder<unknown> {
    return sql`exists (
      select from ${this.#database.table('canaries')} as c
      where c.tenant = t.tenant and c.action_id = t.action_id and c.ended_at < ${before})`;
  }

  #function(name: string): RawBuilder<unknown> {
    return sql.id(this.#database.schema, name);
  }

  /** Gateways set their tables up themselves. */
  async #exists(table: string): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'has_table',
      query: sql<{ found: boolean }>`select to_regclass(${`"${this.#database.schema}".${table}`}) is not null as found`,
    });
    return rows[0]?.found === true;
  }
}

interface Kind {
  readonly table: string;
  /** Of the row `t`: that it may go. */
  readonly over: (before: RawBuilder<unknown>) => RawBuilder<unknown>;
}
