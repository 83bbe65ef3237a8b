/** Which schedule of canaries is in force: one for each task queue, as the worker that started last has it. */
import { sql } from 'kysely';
import { digest, type Digest, type JsonObject } from '../../action/json.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';

interface CanaryScheduleInForce {
  /** As it is compared: by member, what the config says of it. */
  readonly schedule: JsonObject;
  /** The worker that put it in force. */
  readonly by: string;
  /** RFC 3339 UTC. */
  readonly at: string;
  /** The worker that was to draw by it last and has another one. It drew nothing. */
  readonly other?: { readonly by: string; readonly at: string };
}

interface Row {
  readonly schedule: JsonObject;
  readonly put_by: string;
  readonly put_at: Date;
  readonly other_by: string | null;
  readonly other_at: Date | null;
}

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class CanarySchedules {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async inForce(taskQueue: string): Promise<CanaryScheduleInForce | undefined> {
    const [row] = await this.#database.rows({
      name: 'canary_schedule',
      query: sql<Row>`select * from ${this.#table()} where task_queue = ${taskQueue}`,
    });
    return row === undefined ? undefined : inForceOf(row);
  }

  /** Puts a schedule in force. The same again changes nothing. @returns the one that it took the place of; undefined where there was none, or the same */
  async put(taskQueue: string, schedule: JsonObject, by: string): Promise<CanaryScheduleInForce | undefined> {
    const before = await this.inForce(taskQueue);
    if (before !== undefined && digest(before.schedule) === digest(schedule)) return undefined;
    await this.#database.rows({
      name: 'put_canary_schedule',
      query: sql`
        insert into ${this.#table()} (task_queue, schedule, put_by)
        values (${taskQueue}, ${JSON.stringify(schedule)}::jsonb, ${plain(by, 255)})
        on conflict (task_queue) do update set schedule = excluded.schedule, put_by = excluded.put_by, put_at = clock_timestamp(),
          other_by = null, other_at = null
        returning task_queue`,
    });
    return before;
  }

  /**
   * Whether a worker has the schedule that is in force, so that it may draw by it. Where it has not, that is noted for `countersign doctor`.
   *
   * @returns the one in force, where it is another; undefined where it is this one, or none is in force
   */
  async differing(taskQueue: string, own: Digest, by: string): Promise<CanaryScheduleInForce | undefined> {
    const now = await this.inForce(taskQueue);
    if (now === undefined || digest(now.schedule) === own) return undefined;
    await this.#database.rows({
      name: 'other_canary_schedule',
      query: sql`
        update ${this.#table()} set other_by = ${plain(by, 255)}, other_at = clock_timestamp() where task_queue = ${taskQueue}
        returning task_queue`,
    });
    return now;
  }

  #table() {
    return this.#database.table('canary_schedules');
  }
}

function inForceOf({ schedule, put_by: by, put_at: at, other_by, other_at }: Row): CanaryScheduleInForce {
  const other = other_by === null || other_at === null ? {} : { other: { by: other_by, at: other_at.toISOString() } };
  return { schedule, by, at: at.toISOString(), ...other };
}
