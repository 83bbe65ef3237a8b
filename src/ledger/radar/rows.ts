/** The radar's rows, as Postgres gives them and as others read them. */
import { digestText, withoutUndefined, type Digest, type JsonObject } from '../../action/json.js';
import type { RadarAlert, RadarAlertRequest, RadarChange, RadarStanding, RadarWriter } from '../../action/radar.js';
import { plain } from '../database/text.js';

export interface AlertRow {
  readonly id: string;
  readonly source: string;
  readonly kind: RadarAlert['kind'];
  readonly system: string;
  readonly position: string;
  readonly at: Date;
  readonly reason: RadarAlert['reason'];
  readonly detail: string;
  readonly transaction: string | null;
  readonly changes: readonly RadarChange[];
  readonly writers: readonly RadarWriter[];
  readonly effect_key: string | null;
  readonly found_at: Date;
  readonly acknowledged_at: Date | null;
  readonly acknowledged_by: string | null;
  readonly acknowledged_tenant: string | null;
  readonly note: string | null;
  readonly acknowledged_command: Digest | null;
}

export interface StandingRow {
  readonly source: string;
  readonly kind: string;
  readonly state: 'watching' | 'off';
  readonly stale: boolean;
  readonly problem: string | null;
  readonly system: string;
  readonly position: string;
  readonly lag_bytes: string | null;
  readonly watched: readonly string[];
  readonly unseen: readonly string[];
  readonly seen_at: Date;
  readonly open: number;
}

export function alertOf(row: AlertRow): RadarAlert {
  const { acknowledged_at: at, acknowledged_by: by, acknowledged_tenant: tenant, note, acknowledged_command } = row;
  const isAcknowledged =
    at !== null && by !== null && tenant !== null && note !== null && acknowledged_command !== null;
  return withoutUndefined({
    id: Number(row.id),
    source: row.source,
    kind: row.kind,
    system: row.system,
    position: row.position,
    at: row.at.toISOString(),
    reason: row.reason,
    detail: row.detail,
    transaction: row.transaction ?? undefined,
    changes: row.changes,
    writers: row.writers,
    effectKey: row.effect_key ?? undefined,
    foundAt: row.found_at.toISOString(),
    acknowledged: isAcknowledged
      ? { at: at.toISOString(), by, tenant, note, command: acknowledged_command }
      : undefined,
  }) as RadarAlert;
}

export function standingOf(row: StandingRow): RadarStanding {
  const problem = row.problem === null || row.problem === '' ? undefined : row.problem;
  return withoutUndefined({
    source: row.source,
    kind: row.kind,
    state: row.stale ? 'stale' : row.state,
    problem,
    system: row.system,
    position: row.position,
    lagBytes: row.lag_bytes === null ? undefined : Number(row.lag_bytes),
    watched: row.watched,
    unseen: row.unseen,
    seenAt: row.seen_at.toISOString(),
    open: row.open,
  }) as RadarStanding;
}

/** What is cut or replaced in it is told apart by its digest: two places never become one. */
function positionText(position: string): string {
  const text = plain(position, 500);
  return text === position ? text : `${text}#${digestText(JSON.stringify(position))}`;
}

/** As `jsonb_to_recordset` reads it, without what a text of Postgres cannot hold. */
export function rowOf(alert: RadarAlertRequest): JsonObject {
  return {
    kind: alert.kind,
    position: positionText(alert.position),
    at: alert.at,
    reason: alert.reason,
    detail: plain(alert.detail, 2000),
    transaction: alert.transaction ?? null,
    changes: alert.changes.map(({ table, operation, rows }) => ({
      table: plain(table),
      operation: plain(operation),
      ...(rows === undefined ? {} : { rows }),
    })),
    writers: alert.writers.map(({ user, application }) => ({ user: plain(user), application: plain(application) })),
    effect_key: alert.effectKey === undefined ? null : plain(alert.effectKey, 500),
  };
}
