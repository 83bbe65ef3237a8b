/** Whether the system of a tool is watched at this moment, for what must not be done otherwise. */
import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../database/database.js';

export interface WatchClaim {
  readonly tool: string;
  /** How long ago the radar may have looked last. Milliseconds. Absent where the system need not be watched. */
  readonly watchedWithinMs?: number | undefined;
}

/** One row where the system must be watched and is not: the radar said that it cannot look, has not looked for longer, or never did. */
export function unwatched(database: Database, { tool, watchedWithinMs }: WatchClaim): RawBuilder<{ unwatched: true }> {
  const secs = watchedWithinMs === undefined ? null : watchedWithinMs / 1000;
  return sql`
    select true as unwatched
    where ${secs}::float8 is not null and not exists (
      select from ${database.table('radar_sources')}
      where source = ${tool} and state = 'watching' and looked_at > clock_timestamp() - make_interval(secs => ${secs}::float8))`;
}
