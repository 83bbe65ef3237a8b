/** The radar's room for those who read: who has which source, how far it is judged, and what was found there. */
import { sql, type RawBuilder } from 'kysely';
import type { JsonObject } from '../../action/json.js';
import type { RadarAlert, RadarAlertRequest, RadarStanding } from '../../action/radar.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';
import { unwatched } from './unwatched.js';
import { alertOf, rowOf, standingOf, type AlertRow, type StandingRow } from './rows.js';

/** What the reader of a source says of it with each round. */
interface RadarReport {
  readonly source: string;
  readonly kind: string;
  /** Names the reader: this worker. */
  readonly reader: string;
  readonly leaseMs: number;
  /** Undefined while this reader has not looked: then it stays as it was. */
  readonly state?: 'watching' | 'off' | undefined;
  readonly problem?: string | undefined;
  readonly lagBytes?: number | undefined;
  readonly watched?: readonly string[];
  readonly unseen?: readonly string[];
}

interface RadarLease {
  /** Another one than before, where another reader had it meanwhile. */
  readonly term: number;
  /** What the source was told to remember, by whichever worker read it last. */
  readonly memory: JsonObject | undefined;
  readonly catalog: JsonObject | undefined;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class RadarRecords {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Takes the lease on a source, or goes on with it. Undefined while another worker has it. */
  async lease(report: RadarReport): Promise<RadarLease | undefined> {
    const { source, kind, reader, state = null, problem = '', lagBytes = null, watched, unseen } = report;
    const [row] = await this.#database.rows({
      name: 'radar_lease',
      query: sql<{ term: string; memory: JsonObject | null; catalog: JsonObject | null }>`
        insert into ${this.#database.table('radar_sources')} as s (source, kind, reader, lease_until, state, problem, lag_bytes, watched, unseen)
        values (${source}, ${kind}, ${reader}, ${leaseEnd(report)}, coalesce(${state}, 'off'),
          coalesce(${state === null ? null : plain(problem, 2000)}, 'It has not looked yet.'), ${lagBytes}::bigint,
          coalesce(${watched ?? null}::text[], '{}'), coalesce(${unseen ?? null}::text[], '{}'))
        on conflict (source) do update set
          kind = excluded.kind, reader = excluded.reader, term = s.term + (s.reader <> excluded.reader)::int, ${reported(report)}
        where s.reader = excluded.reader or s.lease_until < clock_timestamp()
        returning term, memory, catalog`,
    });
    if (row === undefined) return undefined;
    return { term: Number(row.term), memory: row.memory ?? undefined, catalog: row.catalog ?? undefined };
  }

  /**
   * Prolongs the lease in which the source is being read. Unlike `lease` it takes nothing: one that was sent before the source was given up, or
   * before another worker had it, changes nothing whenever it comes.
   *
   * @returns whether the lease goes on
   */
  async renew(report: Omit<RadarReport, 'kind'> & { readonly term: number }): Promise<boolean> {
    const { source, reader, term } = report;
    const rows = await this.#database.rows({
      name: 'radar_renew',
      query: sql`
        update ${this.#database.table('radar_sources')} as s set ${reported(report)}
        where s.source = ${source} and s.reader = ${reader} and s.term = ${term} and s.lease_until > clock_timestamp()
        returning s.source`,
    });
    return rows.length > 0;
  }

  /** Leaves the source to the next. */
  async release(source: string, reader: string): Promise<void> {
    await this.#database.rows({
      name: 'radar_release',
      query: sql`
        update ${this.#database.table('radar_sources')} set lease_until = clock_timestamp()
        where source = ${source} and reader = ${reader} returning source`,
    });
  }

  /**
   * Records what was found, and how far the source is judged, while the reader has the lease: whoever took it meanwhile finds the same.
   *
   * @returns those that were not recorded before; undefined where another worker has it, or had it meanwhile, and nothing is recorded
   */
  async record(
    source: string,
    found: {
      readonly reader: string;
      /** That in which it was read. */
      readonly term: number;
      readonly system: string;
      readonly position: string;
      readonly memory: JsonObject;
      /** Left out where it stays. */
      readonly catalog?: JsonObject | undefined;
      readonly alerts: readonly RadarAlertRequest[];
    },
  ): Promise<readonly RadarAlert[] | undefined> {
    const { reader, term, system, position, memory, catalog, alerts } = found;
    const rows = await this.#database.rows({
      name: 'radar_record',
      query: sql<AlertRow | { readonly id: null }>`
        with moved as (
          update ${this.#database.table('radar_sources')}
          set system = ${system}, position = ${position}, memory = ${JSON.stringify(memory)}::jsonb,
            catalog = coalesce(${catalog === undefined ? null : JSON.stringify(catalog)}::jsonb, catalog),
            seen_at = clock_timestamp(), looked_at = clock_timestamp()
          where source = ${source} and reader = ${reader} and term = ${term}
          returning source
        ), recorded as (
        insert into ${this.#database.table('radar_alerts')}
          (source, kind, system, position, at, reason, detail, transaction, changes, writers, effect_key)
        select ${source}, a.kind, ${system}, a.position, a.at, a.reason, a.detail, a.transaction, a.changes, a.writers, a.effect_key
        from jsonb_to_recordset(${JSON.stringify(alerts.map(rowOf))}::jsonb) as a (
          kind text, position text, at timestamptz, reason text, detail text, transaction text, changes jsonb, writers jsonb, effect_key text)
        where exists (select from moved)
        on conflict (source, system, position) do nothing
        returning *)
        select recorded.* from moved left join recorded on true order by recorded.id`,
    });
    return rows.length === 0 ? undefined : rows.flatMap((row) => (row.id === null ? [] : [alertOf(row)]));
  }

  /** Whether the radar looks at the system of the tool, and has looked within that time. */
  async isWatched(tool: string, withinMs: number): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'radar_unwatched',
      query: unwatched(this.#database, { tool, watchedWithinMs: withinMs }),
    });
    return rows.length === 0;
  }

  async sources(): Promise<readonly RadarStanding[]> {
    const rows = await this.#database.rows({
      name: 'radar_sources',
      query: sql<StandingRow>`
        select s.*, s.lease_until < clock_timestamp() - interval '1 minute' as stale,
          (select count(*)::int from ${this.#database.table('radar_alerts')} as a where a.source = s.source and a.acknowledged_at is null) as open
        from ${this.#database.table('radar_sources')} as s order by s.source`,
    });
    return rows.map(standingOf);
  }
}

function leaseEnd({ leaseMs }: Pick<RadarReport, 'leaseMs'>): RawBuilder<Date> {
  return sql`clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)`;
}

/** What the row `s` of a source becomes by a report: what it does not say stays. */
function reported(report: Omit<RadarReport, 'kind'>): RawBuilder<unknown> {
  const { state = null, problem = '', lagBytes = null, watched, unseen } = report;
  return sql`
    lease_until = ${leaseEnd(report)}, seen_at = clock_timestamp(),
    state = coalesce(${state}, s.state), problem = coalesce(${state === null ? null : plain(problem, 2000)}, s.problem),
    lag_bytes = coalesce(${lagBytes}::bigint, s.lag_bytes),
    watched = coalesce(${watched ?? null}::text[], s.watched), unseen = coalesce(${unseen ?? null}::text[], s.unseen)`;
}
