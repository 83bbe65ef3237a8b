/** Which policy each worker runs and how its clock goes, as it last said. Nothing is decided by it. */
import { sql } from 'kysely';
import { withoutUndefined, type Digest } from '../../action/json.js';
import type { PolicyWorker } from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';

export interface WorkerReport extends Omit<PolicyWorker, 'seenAt' | 'silent'> {
  /** The latest change of the active policy that it knows of. */
  readonly latest?: { readonly seq: number; readonly signed: string };
}

/** How often a worker reports while nothing changes, and after how long without a report it counts as silent. Seconds. */
export const REPORT_EVERY_SECONDS = 5;
export const SILENT_AFTER_SECONDS = 3 * REPORT_EVERY_SECONDS;
const FORGOTTEN_AFTER_SECONDS = 60 * 60;

export async function reportWorker(database: Database, report: WorkerReport): Promise<void> {
  const { worker, taskQueue, source, active = null, shadow = null, problem, latest, clockAheadMs = null } = report;
  await database.rows({
    name: 'report_policy_worker',
    query: sql`
      insert into ${database.table('policy_workers')} (worker, task_queue, source, active, shadow, problem, change, signed, clock_ahead_ms)
      values (${worker}, ${taskQueue}, ${source}, ${active}, ${shadow}, ${problem === undefined ? null : plain(problem)},
        ${latest?.seq ?? null}, ${latest?.signed ?? null}, ${clockAheadMs})
      on conflict (worker) do update
      set source = excluded.source, active = excluded.active, shadow = excluded.shadow, problem = excluded.problem,
        change = excluded.change, signed = excluded.signed, clock_ahead_ms = excluded.clock_ahead_ms, seen_at = clock_timestamp()`,
  });
}

export async function forgetWorker(database: Database, worker: string): Promise<void> {
  await database.rows({
    name: 'forget_policy_worker',
    query: sql`
      delete from ${database.table('policy_workers')}
      where worker = ${worker} or seen_at < clock_timestamp() - make_interval(secs => ${sql.lit(FORGOTTEN_AFTER_SECONDS)})`,
  });
}

interface WorkerRow {
  readonly worker: string;
  readonly task_queue: string;
  readonly source: PolicyWorker['source'];
  readonly active: Digest | null;
  readonly shadow: Digest | null;
  readonly problem: string | null;
  readonly clock_ahead_ms: number | null;
  readonly seen_at: Date;
  readonly silent: boolean;
}

export async function workers(database: Database): Promise<readonly PolicyWorker[]> {
  const rows = await database.rows({
    name: 'policy_workers',
    query: sql<WorkerRow>`
      select *, seen_at < clock_timestamp() - make_interval(secs => ${sql.lit(SILENT_AFTER_SECONDS)}) as silent
      from ${database.table('policy_workers')}
      where seen_at > clock_timestamp() - make_interval(secs => ${sql.lit(FORGOTTEN_AFTER_SECONDS)})
      order by worker`,
  });
  return rows.map((row) =>
    withoutUndefined({
      worker: row.worker,
      taskQueue: row.task_queue,
      source: row.source,
      active: row.active ?? undefined,
      shadow: row.shadow ?? undefined,
      problem: row.problem ?? undefined,
      clockAheadMs: row.clock_ahead_ms ?? undefined,
      seenAt: row.seen_at.toISOString(),
      silent: row.silent,
    }),
  );
}
