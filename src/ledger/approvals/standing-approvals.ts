/** Standing approvals as the ledger keeps them. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { standingLimit } from '../../action/limits.js';
import type { NewAuthorization, SignedAuthorization } from '../../action/person-authorization.js';
import type { StandingApproval, StandingApprovalUse } from '../../action/standing-approval.js';
import type { Database } from '../database/database.js';
import { endOf, toPersonAuthorization, type PersonAuthorizationRow } from './person-authorizations.js';

/** What an action must be for a standing approval to be about it. */
export interface StandingApprovalQuery {
  readonly tenant: string;
  /** The agent's id, and that of the first of its chain. */
  readonly agents: readonly string[];
  readonly tool: string;
  readonly environment: string;
  readonly rows: number;
}

interface StandingApprovalRow extends PersonAuthorizationRow {
  readonly agent: string;
  readonly tool: string;
  readonly operation: string | null;
  readonly environment: string | null;
  readonly max_rows: string | null;
  readonly actions: string | null;
  readonly amounts: Readonly<Record<string, number>> | null;
  readonly roles: readonly string[];
}

/** Of those for one action, the ones that end soonest. */
const MOST_FOR_ACTION = 100;
const MOST_LISTED = 1000;

export class StandingApprovals {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Idempotent: what was added under this id comes back. @throws CountersignError INVALID_INPUT when that was something else */
  async add(adding: NewAuthorization<StandingApproval>): Promise<StandingApproval> {
    const { tenant, id, agent, tool, operation, environment, maxRows, actions, amounts, roles, until } = adding;
    const { by, credentials, reason, statement, digest } = adding;
    await this.#database.rows({
      name: 'add_standing_approval',
      query: sql`
        insert into ${this.#database.table('standing_approvals')}
          (tenant, id, agent, tool, operation, environment, max_rows, actions, amounts, roles, until,
            given_by, credentials, reason, statement, digest)
        values (${tenant}, ${id}, ${agent}, ${tool}, ${operation ?? null}, ${environment ?? null}, ${maxRows ?? null}, ${actions ?? null},
          ${amounts === undefined ? null : JSON.stringify(amounts)}::json, ${roles}::text[], ${until}::timestamptz,
          ${by}, ${credentials}::text[], ${reason}, ${statement}, ${digest})
        on conflict (tenant, id) do nothing`,
    });
    const added = await this.find(tenant, id);
    if (added?.digest === digest) return added;
    throw new CountersignError('INVALID_INPUT', `Another standing approval has the id ${id}.`, { field: 'id' });
  }

  /** Also one that is over. */
  async find(tenant: string, id: string): Promise<StandingApproval | undefined> {
    const [row] = await this.#database.rows({
      name: 'find_standing_approval',
      query: sql<StandingApprovalRow>`
        select g.*, ending.* from ${this.#database.table('standing_approvals')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.id = ${id}`,
    });
    return row && toStandingApproval(row);
  }

  /**
   * Those that hold now, by the database's clock, and may be about the action; the ones that end soonest first. Whether one is about its
   * operation, and what is left of its budgets, is for the caller. One round trip.
   */
  async for({
    tenant,
    agents,
    tool,
    environment,
    rows,
  }: StandingApprovalQuery): Promise<readonly SignedAuthorization<StandingApproval>[]> {
    const found = await this.#database.rows({
      name: 'standing_approvals_for',
      query: sql<StandingApprovalRow>`
        select g.* from ${this.#database.table('standing_approvals')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.agent = any (${agents}::text[]) and g.until > clock_timestamp() and ending.ended_at is null
          and g.tool = ${tool} and coalesce(g.environment = ${environment}, true) and coalesce(g.max_rows >= ${rows}::float8, true)
        order by g.until, g.id
        limit ${sql.lit(MOST_FOR_ACTION)}`,
    });
    return found.map((row) => ({ ...toStandingApproval(row), statement: row.statement }));
  }

  /** Newest first, at most 1000, with what is used of each. Default: also those that are over. */
  async list({
    tenant,
    activeOnly = false,
  }: {
    readonly tenant: string;
    readonly activeOnly?: boolean;
  }): Promise<readonly (StandingApproval & { readonly used: StandingApprovalUse })[]> {
    const rows = await this.#database.rows({
      name: 'list_standing_approvals',
      query: sql<StandingApprovalRow & { counted: Readonly<Record<string, number>> }>`
        select g.*, ending.*, (
          select coalesce(jsonb_object_agg(c."limit", c.used + c.held), '{}') from ${this.#database.table('limit_counters')} as c
          where c.tenant = g.tenant and c.key = '' and c."limit" in (
            select 'standing:' || g.id
            union all
            select 'standing:' || g.id || ':' || unit from json_object_keys(coalesce(g.amounts, '{}')) as unit)
        ) as counted
        from ${this.#database.table('standing_approvals')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant}
          and (not ${activeOnly}::boolean or (g.until > clock_timestamp() and ending.ended_at is null))
        order by g.given_at desc, g.id
        limit ${sql.lit(MOST_LISTED)}`,
    });
    return rows.map((row) => {
      const units = Object.keys(row.amounts ?? {});
      const amounts = units.map((unit) => [unit, row.counted[standingLimit(row.id, unit)] ?? 0] as const);
      const used = { actions: row.counted[standingLimit(row.id)] ?? 0, amounts: Object.fromEntries(amounts) };
      return { ...toStandingApproval(row), used };
    });
  }
}

function toStandingApproval(row: StandingApprovalRow): StandingApproval {
  const { agent, tool, operation, environment, max_rows, actions, amounts, roles } = row;
  return {
    ...toPersonAuthorization(row),
    agent,
    tool,
    ...(operation === null ? {} : { operation }),
    ...(environment === null ? {} : { environment }),
    ...(max_rows === null ? {} : { maxRows: Number(max_rows) }),
    ...(actions === null ? {} : { actions: Number(actions) }),
    ...(amounts === null ? {} : { amounts }),
    roles,
  };
}
