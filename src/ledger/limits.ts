/** Limits: where their counters stand, and what actions have reserved of them. The counting itself is done in the database. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../action/errors.js';
import { assertJson } from '../action/json.js';
import {
  DISPOSITIONS,
  type HoldRequest,
  type HoldSettlement,
  type LimitDemand,
  type LimitReading,
} from '../action/limits.js';
import type { OutcomeStatus } from '../action/outcome.js';
import type { Database } from './database.js';
import type { Hold, LimitCounter } from './port.js';

/** As the type `limit_demand` in the database has it: times in microseconds, windows as slots. */
interface DemandRow {
  readonly limit: string;
  readonly key: string;
  readonly kind: LimitReading['kind'];
  readonly max: number;
  readonly amount?: number;
  readonly width: number;
  readonly keep: number;
  readonly minimum?: number;
  readonly ratio?: number;
  readonly open_for?: number;
  readonly over?: boolean;
}

/** A sliding window is this many slots, and one more that is partly over: so it forgets late, by less than a slot, and never early. */
const SLOTS = 32;

/** A hundred years: as long as `for good`, and no sum of such times leaves a bigint. */
const LONGEST_MS = 3_155_760_000_000;

/**
 * The demands as JSON for the database's functions.
 *
 * @throws CountersignError INVALID_INPUT when a number is none that can be counted, or two demands are on one counter
 */
export function demandRows(demands: readonly HoldRequest[]): string {
  assertJson(demands, 'holds');
  const seen = new Set<string>();
  const rows = demands.map((demand, index) => {
    const field = `holds[${index}]`;
    const id = counterId(demand);
    if (seen.has(id)) throw badDemand(field, `one demand on ${demand.limit} (${demand.key})`);
    seen.add(id);
    return demandRow(demand, field);
  });
  return JSON.stringify(rows);
}

function demandRow(demand: HoldRequest, field: string): DemandRow {
  const { limit, key, kind } = demand;
  const over = demand.over === true ? { over: true } : {};
  switch (demand.kind) {
    case 'budget':
    case 'count': {
      const { window } = demand;
      const keep = window?.kind === 'sliding' ? SLOTS : 0;
      const width = window === undefined ? 0 : microseconds(window.ms / (keep || 1), `${field}.window.ms`);
      const [max, amount] = [atLeast(0, demand.max, `${field}.max`), atLeast(0, demand.amount, `${field}.amount`)];
      return { limit, key, kind, max, amount, width, keep, ...over };
    }
    case 'concurrency':
      return { limit, key, kind, max: atLeast(0, demand.max, `${field}.max`), amount: 1, width: 0, keep: 0, ...over };
    case 'rate': {
      const max = atLeast(0, demand.capacity, `${field}.capacity`);
      const width = microseconds(demand.refillMs, `${field}.refillMs`);
      return { limit, key, kind, max, width, keep: 0, ...over };
    }
    case 'breaker':
      return {
        limit,
        key,
        kind,
        max: atLeast(1, demand.probes, `${field}.probes`),
        width: microseconds(demand.windowMs / SLOTS, `${field}.windowMs`),
        keep: SLOTS,
        minimum: atLeast(0, demand.minimum, `${field}.minimum`),
        ratio: atLeast(Number.MIN_VALUE, demand.ratio, `${field}.ratio`),
        open_for: microseconds(demand.openMs, `${field}.openMs`),
        ...over,
      };
    default:
      throw badDemand(`${field}.kind`, 'budget, count, rate, concurrency or breaker');
  }
}

function atLeast(least: number, value: number, field: string): number {
  if (Number.isFinite(value) && value >= least) return value;
  throw badDemand(field, `a finite number, at least ${least}`);
}

function microseconds(ms: number, field: string): number {
  if (ms > 0 && ms <= LONGEST_MS) return Math.ceil(ms * 1000);
  throw badDemand(field, 'milliseconds, more than 0 and at most a hundred years');
}

function badDemand(field: string, expected: string): CountersignError {
  return new CountersignError('INVALID_INPUT', `The ledger cannot count this: ${field} must be ${expected}.`, {
    field,
    expected,
    fix: 'Correct the limit, or what it computes the amount from.',
  });
}

function counterId({ limit, key, kind }: Pick<LimitReading, 'limit' | 'key' | 'kind'>): string {
  return JSON.stringify([limit, key, kind]);
}

/** A name for the set of counters that the demands are on. */
export function countersOf(tenant: string, demands: readonly LimitDemand[]): string {
  return JSON.stringify([tenant, demands.map(counterId).sort()]);
}

/** The readings in the order of the demands. */
export function inOrderOf(demands: readonly LimitDemand[], readings: readonly LimitReading[]): readonly LimitReading[] {
  const byId = new Map(readings.map((reading) => [counterId(reading), reading]));
  return demands.map((demand) => {
    const reading = byId.get(counterId(demand));
    if (reading === undefined) throw new CountersignError('INTERNAL', `The ledger did not read ${demand.limit}.`);
    return reading;
  });
}

export async function readLimits(
  database: Database,
  tenant: string,
  actionId: string,
  demands: readonly LimitDemand[],
): Promise<readonly LimitReading[]> {
  if (demands.length === 0) return [];
  const rows = await database.rows({
    name: 'read_limits',
    query: sql<{ readings: readonly LimitReading[] }>`
      select ${database.routine('read_limits')}(${tenant}, ${actionId}, ${demandRows(demands)}::jsonb) as readings`,
  });
  return inOrderOf(demands, rows[0]?.readings ?? []);
}

/** Ends the action's holds, for each row of `source` (one or none). @throws CountersignError INVALID_INPUT */
export function settledHolds(
  database: Database,
  { tenant, actionId, outcome, holds }: SettledAction,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { disposition, result, amounts = {} } = holds ?? { disposition: DISPOSITIONS[outcome.status] };
  if (disposition === 'keep' && outcome.status !== 'unknown') {
    throw new CountersignError('INVALID_INPUT', `Holds are kept only while it is not known what happened.`, {
      field: 'holds.disposition',
      expected: 'consume or release',
      fix: `Nobody could end them later: the outcome is ${outcome.status}.`,
    });
  }
  for (const [limit, amount] of Object.entries(amounts)) atLeast(0, amount, `holds.amounts.${limit}`);
  assertJson(amounts, 'holds.amounts');
  return sql`
    select ${database.routine('settle_holds')}(${tenant}, ${actionId}, ${disposition}, ${result ?? null}, ${JSON.stringify(amounts)}::jsonb) as ended
    from ${source}`;
}

export interface SettledAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly outcome: { readonly status: OutcomeStatus };
  readonly holds?: HoldSettlement;
}

export function limitCounters(database: Database, tenant: string | undefined): Promise<readonly LimitCounter[]> {
  return database.ask(async (kysely) => {
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
      cross join ${database.table('limit_counters')} as c
      cross join lateral ${database.routine('rolled')}(c, t.at) as now
      where ${tenant ?? null}::text is null or c.tenant = ${tenant ?? null}
      order by c.tenant, c."limit", c.key, c.kind`.execute(kysely);
    return rows.map(({ state, updated_at, ...counter }) => ({
      ...counter,
      ...(state === null ? {} : { state }),
      updatedAt: updated_at.toISOString(),
    }));
  });
}

export function holds(database: Database, tenant: string, actionId: string | undefined): Promise<readonly Hold[]> {
  return database.ask(async (kysely) => {
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
