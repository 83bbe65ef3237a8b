/** Standing approvals: what a person approves in advance, for one agent, within bounds and for a while. */
import { sql } from 'kysely';
import { CountersignError } from '../action/errors.js';
import { standingLimit } from '../action/limits.js';
import type { Database } from './database.js';
import { endOf, toGiven, type Adding, type Given, type GivenRow, type Signed } from './given.js';

/** One bound that is absent bounds nothing. */
export interface StandingApproval extends Given {
  /** The agent's id. Of one with a credential of its own, it is for those below it too. */
  readonly agent: string;
  readonly tool: string;
  /** `*` stands for any run of characters, as in scopes. */
  readonly operation?: string;
  readonly environment?: string;
  /** Of the preview of each action. */
  readonly maxRows?: number;
  /** How many actions in all. */
  readonly actions?: number;
  /** How much in all, by unit: `{EUR: 50}`. */
  readonly amounts?: Readonly<Record<string, number>>;
  /** Of the giver: it counts as the yes of somebody with these. */
  readonly roles: readonly string[];
}

/** How much of it is used: spent, or held by actions under way. */
export interface StandingUse {
  readonly actions: number;
  readonly amounts: Readonly<Record<string, number>>;
}

/** What an action must be for a standing approval to be about it. */
export interface StandingFor {
  readonly tenant: string;
  /** The agent's id, and that of the first of its chain. */
  readonly agents: readonly string[];
  readonly tool: string;
  readonly environment: string;
  readonly rows: number;
}

interface StandingRow extends GivenRow {
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

export class Standing {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Idempotent: what was added under this id comes back. @throws CountersignError INVALID_INPUT when that was something else */
  async add(adding: Adding<StandingApproval>): Promise<StandingApproval> {
    const { tenant, id, agent, tool, operation, environment, maxRows, actions, amounts, roles, until } = adding;
    const { by, credentials, reason, statement, digest } = adding;
    await this.#database.rows({
      name: 'add_standing',
      query: sql`
        insert into ${this.#database.table('standing')}
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
      name: 'find_standing',
      query: sql<StandingRow>`
        select g.*, ending.* from ${this.#database.table('standing')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.id = ${id}`,
    });
    return row && toStanding(row);
  }

  /**
   * Those that hold now, by the database's clock, and may be about the action; the ones that end soonest first. Whether one is about its
   * operation, and what is left of its budgets, is for the caller. One round trip.
   */
  async for({ tenant, agents, tool, environment, rows }: StandingFor): Promise<readonly Signed<StandingApproval>[]> {
    const found = await this.#database.rows({
      name: 'standing_for',
      query: sql<StandingRow>`
        select g.* from ${this.#database.table('standing')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant} and g.agent = any (${agents}::text[]) and g.until > clock_timestamp() and ending.ended_at is null
          and g.tool = ${tool} and coalesce(g.environment = ${environment}, true) and coalesce(g.max_rows >= ${rows}::float8, true)
        order by g.until, g.id
        limit ${sql.lit(MOST_FOR_ACTION)}`,
    });
    return found.map((row) => ({ ...toStanding(row), statement: row.statement }));
  }

  /** Newest first, at most 1000, with what is used of each. Default: also those that are over. */
  async list({
    tenant,
    activeOnly = false,
  }: {
    readonly tenant: string;
    readonly activeOnly?: boolean;
  }): Promise<readonly (StandingApproval & { readonly used: StandingUse })[]> {
    const rows = await this.#database.rows({
      name: 'list_standing',
      query: sql<StandingRow & { counted: Readonly<Record<string, number>> }>`
        select g.*, ending.*, (
          select coalesce(jsonb_object_agg(c."limit", c.used + c.held), '{}') from ${this.#database.table('limit_counters')} as c
          where c.tenant = g.tenant and c.key = '' and c."limit" in (
            select 'standing:' || g.id
            union all
            select 'standing:' || g.id || ':' || unit from json_object_keys(coalesce(g.amounts, '{}')) as unit)
        ) as counted
        from ${this.#database.table('standing')} as g ${endOf(this.#database)}
        where g.tenant = ${tenant}
          and (not ${activeOnly}::boolean or (g.until > clock_timestamp() and ending.ended_at is null))
        order by g.given_at desc, g.id
        limit ${sql.lit(MOST_LISTED)}`,
    });
    return rows.map((row) => {
      const units = Object.keys(row.amounts ?? {});
      const amounts = units.map((unit) => [unit, row.counted[standingLimit(row.id, unit)] ?? 0] as const);
      const used = { actions: row.counted[standingLimit(row.id)] ?? 0, amounts: Object.fromEntries(amounts) };
      return { ...toStanding(row), used };
    });
  }
}

function toStanding(row: StandingRow): StandingApproval {
  const { agent, tool, operation, environment, max_rows, actions, amounts, roles } = row;
  return {
    ...toGiven(row),
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
