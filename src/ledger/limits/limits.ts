/** Limits: where their counters stand, and what actions have reserved of them. The counting itself is done in the database. */
import { sql } from 'kysely';
import type { HistoryQuery, HistoryReading } from '../../action/history.js';
import type { Hold, LimitCounter } from '../../action/hold.js';
import type { LimitDemand, LimitReading } from '../../action/limits.js';
import type { Database } from '../database/database.js';
import { demandRows, inOrderOf } from './demands.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Limits {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Where the counters stand for these demands, placing nothing. One round trip. In the order of the demands.
   *
   * @throws CountersignError INVALID_INPUT, INVALID_NUMBER or INVALID_TEXT when a demand cannot be counted
   */
  async read(tenant: string, actionId: string, demands: readonly LimitDemand[]): Promise<readonly LimitReading[]> {
    if (demands.length === 0) return [];
    const rows = await this.#database.rows({
      name: 'read_limits',
      query: sql<{ readings: readonly LimitReading[] }>`
        select ${sql.id(this.#database.schema, 'read_limits')}(${tenant}, ${actionId}, ${demandRows(demands)}::jsonb) as readings`,
    });
    return inOrderOf(demands, rows[0]?.readings ?? []);
  }

  /** The same, with what earlier actions came to: still one round trip. In the order of the demands and of the queries. */
  async readWithHistory(
    tenant: string,
    actionId: string,
    demands: readonly LimitDemand[],
    queries: readonly HistoryQuery[],
  ): Promise<{ readonly limits: readonly LimitReading[]; readonly history: readonly HistoryReading[] }> {
    const { schema } = this.#database;
    const rows = await this.#database.rows({
      name: 'read_limits_and_history',
      query: sql<{ limits: readonly LimitReading[]; history: readonly HistoryReading[] }>`
        select ${sql.id(schema, 'read_limits')}(${tenant}, ${actionId}, ${demandRows(demands)}::jsonb) as limits,
          ${sql.id(schema, 'read_history')}(${tenant}, ${actionId}, ${JSON.stringify(queries)}::jsonb) as history`,
    });
    const { limits = [], history = [] } = rows[0] ?? {};
    return { limits: inOrderOf(demands, limits), history };
  }

  /** Every counter that was ever used, by limit and key. */
  counters({ tenant }: { readonly tenant?: string } = {}): Promise<readonly LimitCounter[]> {
    return this.#database.ask(async (kysely) => {
      const { rows } = await sql<{
        tenant: string;
        limit: string;
        key: string;
        kind: LimitCounter['kind'];
        used: number;
        held: number;
        state: NonNullable<LimitCounter['state']> | null;
        updated_at: Date;
      }>`
        select now.tenant, now."limit", now.key, now.kind, now.held::float8 as held, now.updated_at,
          case when now.kind = 'rate' then ceil(greatest(now.full_at - t.at, 0)::float8 / now.width) else now.used::float8 end as used,
          case when now.kind = 'breaker' then
            case when now.open_until is null then 'closed' when t.at < now.open_until then 'open' else 'half_open' end
          end as state
        from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as at) as t
        cross join ${this.#database.table('limit_counters')} as c
        cross join lateral ${sql.id(this.#database.schema, 'rolled')}(c, t.at) as now
        where ${tenant ?? null}::text is null or c.tenant = ${tenant ?? null}
        order by c.tenant, c."limit", c.key, c.kind`.execute(kysely);
      return rows.map(({ state, updated_at, ...counter }) => ({
        ...counter,
        ...(state === null ? {} : { state }),
        updatedAt: updated_at.toISOString(),
      }));
    });
  }

  /** The holds of one action, or of every action that still has some. */
  holds({ tenant, actionId }: { readonly tenant: string; readonly actionId?: string }): Promise<readonly Hold[]> {
    return this.#database.ask(async (kysely) => {
      const ofTenant = kysely
        .selectFrom('holds')
        .select(['action_id', 'limit', 'key', 'kind', 'status', 'placed_at', 'settled_at'])
        .select(sql<number>`amount::float8`.as('amount'))
        .where('tenant', '=', tenant)
        .orderBy('action_id')
        .orderBy('limit')
        .orderBy('key')
        .orderBy('kind');
      const rows = await (
        actionId === undefined ? ofTenant.where('settled_at', 'is', null) : ofTenant.where('action_id', '=', actionId)
      ).execute();
      return rows.map((row) => ({
        tenant,
        actionId: row.action_id,
        limit: row.limit,
        key: row.key,
        kind: row.kind,
        amount: row.amount,
        status: row.status,
        placedAt: row.placed_at.toISOString(),
        ...(row.settled_at === null ? {} : { settledAt: row.settled_at.toISOString() }),
      }));
    });
  }
}
