/** Nonces: what may be used once, by one taker, for good. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from './database.js';
import type { LedgerPort } from './port.js';

export async function useNonce(
  database: Database,
  { scope, nonce, expiresAt, by = `call ${randomUUID()}` }: Parameters<LedgerPort['useNonce']>[0],
): Promise<boolean> {
  // The update changes nothing: it lets the taker who comes again, such as this call after a lost reply, know the nonce as its own.
  // Whoever comes with one that is over gets nothing, so that what is forgotten cannot be taken again.
  const rows = await database.rows({
    name: 'use_nonce',
    query: sql<{ nonce: string }>`
      with forgotten as (
        delete from ${database.table('nonces')} as n
        using (
          select scope, nonce from ${database.table('nonces')}
          where expires_at < clock_timestamp() - interval '25 hours'
          limit 20
          for update skip locked
        ) as old
        where n.scope = old.scope and n.nonce = old.nonce
      )
      insert into ${database.table('nonces')} as n (scope, nonce, taken_by, expires_at)
      select ${scope}, ${nonce}, ${by}, ${expiresAt}
      where ${expiresAt}::timestamptz > clock_timestamp()
      on conflict (scope, nonce) do update set taken_by = n.taken_by where n.taken_by = excluded.taken_by
      returning n.nonce`,
  });
  return rows.length === 1;
}
