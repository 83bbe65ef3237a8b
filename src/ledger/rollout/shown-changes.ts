/** What shows that the active policy was changed, besides its state: the history, what live workers say, and receipts. All of it is to be verified. */
import { sql, type RawBuilder } from 'kysely';
import type { ShownChange } from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';
import { SILENT_AFTER_SECONDS } from './workers.js';

/** Of each kind. The latest one suffices; others count where somebody put made-up ones before it. */
const MOST_SHOWN = 8;
const MOST_RECEIPTS = 50;

/** The id of the receipt for a command that was carried out as this change. No action id has a slash. */
export function policyReceiptId(seq: number, jti: string): string {
  return `command/policy.${seq}.${jti}`;
}

/** The number of the change that a receipt with this id is for. */
export function changeOfReceiptId(id: string): number | undefined {
  const seq = /^command\/policy\.([1-9]\d{0,14})\./.exec(id)?.[1];
  return seq === undefined ? undefined : Number(seq);
}

/** As a part of another statement: one JSON array. */
export function shownChanges(database: Database): RawBuilder<readonly ShownChange[]> {
  return sql<readonly ShownChange[]>`
    coalesce((select json_agg(shown) from (
      (select w.change as seq, 'worker ' || w.worker as "shownBy", w.signed from ${database.table('policy_workers')} as w
        where w.signed is not null and w.seen_at > clock_timestamp() - make_interval(secs => ${sql.lit(SILENT_AFTER_SECONDS)})
        order by w.change desc limit ${sql.lit(MOST_SHOWN)})
      union all
      (select c.seq, 'the history', c.signed from ${database.table('policy_changes')} as c
        where c.kind in ('promote', 'rollback') order by c.seq desc limit ${sql.lit(MOST_SHOWN)})
    ) as shown), '[]')`;
}

/** The receipts of changes of policies, the latest first. */
export async function policyReceipts(database: Database): Promise<readonly string[]> {
  const rows = await database.rows({
    name: 'policy_receipts',
    query: sql<{ jws: string }>`
      select jws from ${database.table('receipts')} where action_id like 'command/policy.%'
      order by at desc limit ${sql.lit(MOST_RECEIPTS)}`,
  });
  return rows.map(({ jws }) => jws);
}
