/** How things stand now, over all tenants: figures for whoever watches. */
import { sql } from 'kysely';
import type { LimitKind } from '../action/limits.js';
import type { Database } from './database/database.js';

export interface LedgerFigures {
  readonly pendingApprovals: number;
  /** Of the one that has waited longest. Seconds; 0 where none waits. The next two likewise. */
  readonly oldestApprovalSeconds: number;
  /** They asked to be admitted, and have no outcome yet. */
  readonly openActions: number;
  readonly oldestOpenSeconds: number;
  /** Their outcome is `unknown`, and nobody has resolved it. */
  readonly unknownActions: number;
  /** Holds that are not settled, by the kind of their limit; without a member there are none. */
  readonly holds: Readonly<Partial<Record<LimitKind, number>>>;
  readonly breakers: { readonly open: number; readonly halfOpen: number };
  readonly freezes: number;
}

/** Counting more than this for a figure would only take longer. */
const MOST_COUNTED = 100_000;

/** Every part has an index of what is open, unknown or in force: it does not grow with what has ended. */
export class Figures {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws CountersignError LEDGER_UNAVAILABLE (retryable) */
  async now(): Promise<LedgerFigures> {
    const table = (name: Parameters<Database['table']>[0]) => this.#database.table(name);
    const [row] = await this.#database.rows({
      name: 'ledger_figures',
      query: sql<LedgerFigures>`
        select pending.count as "pendingApprovals", pending.oldest as "oldestApprovalSeconds",
          opened.count as "openActions", opened.oldest as "oldestOpenSeconds",
          (select count(*)::int from (
            select from ${table('actions')} where status = 'unknown' limit ${MOST_COUNTED}
          ) as unknown) as "unknownActions",
          (select coalesce(json_object_agg(kind, count), '{}') from (
            select kind, count(*)::int as count from (
              select kind from ${table('holds')} where settled_at is null limit ${MOST_COUNTED}
            ) as live group by kind
          ) as kinds) as holds,
          (select json_build_object(
            'open', count(*) filter (where open_until > t.at), 'halfOpen', count(*) filter (where open_until <= t.at))
            from ${table('limit_counters')} where open_until is not null) as breakers,
          (select count(*)::int from ${table('freezes')} where lifted_at is null) as freezes
        from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as at) as t
        cross join (
          select count(*)::int as count, ${age('first_asked_at')} as oldest
          from (select first_asked_at from ${table('approval_requests')} where closed_at is null limit ${MOST_COUNTED}) as waiting
        ) as pending
        cross join (
          select count(*)::int as count, ${age('created_at')} as oldest
          from (select created_at from ${table('actions')} where status is null order by created_at limit ${MOST_COUNTED}) as unended
        ) as opened`,
    });
    return row as LedgerFigures;
  }
}

function age(column: 'first_asked_at' | 'created_at') {
  const since = sql`extract(epoch from clock_timestamp() - min(${sql.ref(column)}))`;
  return sql<number>`coalesce(greatest(${since}, 0), 0)::float8`;
}
