/** Receipts for pins that a person accepted, found by what they accepted. All of them are to be verified. */
import { sql } from 'kysely';
import type { Digest } from '../../action/json.js';
import type { Database } from '../database/database.js';

/** The latest count where somebody put made-up ones before them. */
const MOST_RECEIPTS = 50;

/** The id of the receipt for a command that accepted these pins. No action id has a slash. */
export function pinsReceiptId(pins: Digest, jti: string): string {
  return `${pinsReceiptPrefix(pins)}${jti}`;
}

/** What the ids of all receipts for these pins begin with, and of no others. */
export function pinsReceiptPrefix(pins: Digest): string {
  return `command/pins.${pins.slice('sha256:'.length)}.`;
}

/** Those of any tenant, the latest first. */
export async function receiptsOfPins(database: Database, pins: Digest): Promise<readonly string[]> {
  const rows = await database.rows({
    name: 'receipts_of_pins',
    query: sql<{ jws: string }>`
      select jws from ${database.table('receipts')}
      where action_id like 'command/pins.%' and action_id like ${`${pinsReceiptPrefix(pins)}%`}
      order by at desc limit ${sql.lit(MOST_RECEIPTS)}`,
  });
  return rows.map(({ jws }) => jws);
}
