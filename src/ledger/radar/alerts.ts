/** The radar's room for people: what was found, who has heard of it, and who has looked. */
import { sql } from 'kysely';
import { radarAlertNotFound } from '../../action/errors-not-found.js';
import type { Acknowledgement, RadarAlert } from '../../action/radar.js';
import { cursorText, notOurs, pageSize, placeIn } from '../database/cursor.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';
import { alertOf, type AlertRow } from './rows.js';

/** Which alerts are asked for. What is left out fits all. */
export interface RadarAlertFilter {
  /** The name of the tool. */
  readonly source?: string | undefined;
  readonly kind?: RadarAlert['kind'] | undefined;
  readonly acknowledged?: boolean | undefined;
  /** Recorded then or later, whenever it happened. */
  readonly since?: Date | undefined;
}

interface RadarAlertPage {
  readonly alerts: readonly RadarAlert[];
  /** The cursor of the next page. Absent on the last one. */
  readonly next?: string;
}

/** Names an alert in an address or a cursor. */
const ALERT_ID = /^[1-9]\d{0,11}$/;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class RadarAlerts {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The latest first. `before`: older ones than this alert. */
  async list({
    source,
    kind,
    acknowledged,
    since,
    before,
    limit = 100,
  }: RadarAlertFilter & { readonly before?: number | undefined; readonly limit?: number } = {}): Promise<
    readonly RadarAlert[]
  > {
    const rows = await this.#database.rows({
      name: 'radar_list',
      query: sql<AlertRow>`
        select * from ${this.#database.table('radar_alerts')}
        where (${acknowledged ?? null}::boolean is null or (acknowledged_at is not null) = ${acknowledged ?? null}::boolean)
          and (${source ?? null}::text is null or source = ${source ?? null})
          and (${kind ?? null}::text is null or kind = ${kind ?? null})
          and (${since ?? null}::timestamptz is null or found_at >= ${since ?? null}::timestamptz)
          and (${before ?? null}::bigint is null or id < ${before ?? null}::bigint)
        order by id desc
        limit ${Math.min(limit, 1000)}`,
    });
    return rows.map(alertOf);
  }

  /** The latest first, some at a time. @throws CountersignError INVALID_INPUT when the cursor is none */
  async page({
    cursor,
    limit = 25,
    ...filter
  }: RadarAlertFilter & {
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<RadarAlertPage> {
    const most = pageSize(limit);
    const before = cursor === undefined ? undefined : idIn(cursor);
    const found = await this.list({ ...filter, before, limit: most + 1 });
    const alerts = found.slice(0, most);
    const last = alerts.at(-1);
    return { alerts, ...(found.length > most && last !== undefined ? { next: cursorText([String(last.id)]) } : {}) };
  }

  /**
   * Notes that a person has looked, by the signed command of this digest. The first who does stays; the same again changes nothing.
   *
   * @returns all of them, as they are then
   * @throws CountersignError NOT_FOUND when one of these ids is none, and nothing is noted
   */
  async acknowledge(
    ids: readonly number[],
    { by, tenant, note, command }: Omit<Acknowledgement, 'at'>,
  ): Promise<readonly RadarAlert[]> {
    const wanted = [...new Set(ids)];
    const table = this.#database.table('radar_alerts');
    // Locked in one order, so that of two who acknowledge the same the second sees what the first has noted.
    const rows = await this.#database.rows({
      name: 'radar_acknowledge',
      query: sql<AlertRow>`
        with known as materialized (select * from ${table} where id = any(${wanted}::bigint[]) order by id for update),
        noted as (
          update ${table}
          set acknowledged_at = clock_timestamp(), acknowledged_by = ${plain(by, 255)}, acknowledged_tenant = ${tenant},
            note = ${plain(note, 4000)}, acknowledged_command = ${command}
          where id = any(${wanted}::bigint[]) and acknowledged_at is null and (select count(*) from known) = ${wanted.length}
          returning *)
        select * from noted union all select * from known where id not in (select id from noted) order by id`,
    });
    const missing = wanted.find((id) => !rows.some((row) => Number(row.id) === id));
    if (missing !== undefined) throw radarAlertNotFound(missing);
    return rows.map(alertOf);
  }

  /** Those of the source that people were not told of yet, oldest first. */
  async untold(source: string, limit: number): Promise<readonly RadarAlert[]> {
    const rows = await this.#database.rows({
      name: 'radar_untold',
      query: sql<AlertRow>`
        select * from ${this.#database.table('radar_alerts')} where source = ${source} and told_at is null order by id limit ${limit}`,
    });
    return rows.map(alertOf);
  }

  async told(ids: readonly number[]): Promise<void> {
    await this.#database.rows({
      name: 'radar_told',
      query: sql`
        update ${this.#database.table('radar_alerts')} set told_at = clock_timestamp()
        where id = any(${ids}::bigint[]) and told_at is null returning id`,
    });
  }
}

/** The number of an alert. @throws CountersignError NOT_FOUND */
export function radarAlertId(text: string): number {
  if (ALERT_ID.test(text)) return Number(text);
  throw radarAlertNotFound(text.slice(0, 20));
}

function idIn(cursor: string): number {
  const [id = ''] = placeIn(cursor);
  if (!ALERT_ID.test(id)) throw notOurs();
  return Number(id);
}
