/** The end of a tenant's chain: how a transaction comes to hold it, and how a receipt is put there. */
import { sql, type RawBuilder } from 'kysely';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { Database, Prepared, Session } from './database.js';
import type { ChainHead, ChainLink, SignReceipt, SignedReceipt } from './port.js';

interface HeadRow {
  readonly seq: string;
  readonly hash: Digest | null;
}

/** Begins a transaction that holds the tenant's chain, and reads something under the lock: a statement of its own, so that it sees what the holder before committed. */
export async function lockChain<Row>(
  database: Database,
  session: Session,
  tenant: string,
  read: Prepared<Row>,
): Promise<[ChainHead, readonly Row[]]> {
  const lock: Prepared<HeadRow> = {
    name: 'lock_chain',
    query: sql<HeadRow>`select seq, hash from ${database.table('chains')} where tenant = ${tenant} for update`,
  };
  const create: Prepared<unknown> = {
    name: 'create_chain',
    query: sql`insert into ${database.table('chains')} (tenant) values (${tenant}) on conflict do nothing`,
  };
  let [, rows, found] = await Promise.all([session.run('begin'), session.rows(lock), session.rows(read)]);
  if (rows.length === 0) {
    [, rows, found] = await Promise.all([session.rows(create), session.rows(lock), session.rows(read)]);
  }
  const [row] = rows;
  if (row === undefined) throw new CountersignError('INTERNAL', "The tenant's chain could not be made.");
  const head = { seq: Number(row.seq), hash: row.hash };
  database.heads.found(tenant, head);
  return [head, found];
}

/** The common table expressions that append a receipt for each row of `source` (one or none). */
export function append(
  database: Database,
  { tenant, actionId }: { readonly tenant: string; readonly actionId: string },
  link: ChainLink,
  signed: SignedReceipt,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    receipt as (
      insert into ${database.table('receipts')} (tenant, seq, hash, prev, jws, action_id)
      select ${tenant}, ${link.seq}, ${signed.hash}, ${link.prev}, ${signed.jws}, ${actionId} from ${source}
      returning seq, hash
    ),
    chain as (
      update ${database.table('chains')} as c set seq = receipt.seq, hash = receipt.hash
      from receipt
      where c.tenant = ${tenant}
    )`;
}

export function nextLink(head: ChainHead): ChainLink {
  return { seq: head.seq + 1, prev: head.hash };
}

/** What `sign` throws is not the database's: it must not look like a ledger that is down. */
export async function signFor(sign: SignReceipt, link: ChainLink): Promise<SignedReceipt> {
  try {
    return await sign(link);
  } catch (error) {
    throw asCountersignError(error);
  }
}
