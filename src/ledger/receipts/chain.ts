/** The end of each tenant's chain: how a transaction comes to hold it, and how a receipt is put there. */
import { sql, type RawBuilder } from 'kysely';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import type { Database, PreparedStatement, TransactionSession } from '../database/database.js';
import { KeyedQueue } from '../database/keyed-queue.js';
import { ChainHeadCache } from './chain-head-cache.js';
import type { ChainHead, ChainLink, SignedReceipt, SignReceipt } from './receipt.js';
import type { SeenHeads } from './seen-heads.js';

interface HeadRow {
  readonly seq: string;
  readonly hash: Digest | null;
}

/**
 * How many transactions of this process may be at one chain at once where others write to it too: the one that holds it and the
 * next, so that it passes on without a round trip. More would only keep connections from everybody else: with 50 actions at once in
 * one tenant and a pool of 10, an admission took 37 ms instead of 1.
 */
const AT_ONE_CHAIN = 2;

export class Chains {
  readonly #database: Database;
  /** Where the chains end, as far as this process knows. */
  readonly heads = new ChainHeadCache();
  /** What of them it knows to be committed. */
  readonly seen: SeenHeads;
  readonly #queue = new KeyedQueue((tenant) => (this.heads.guess(tenant) === undefined ? AT_ONE_CHAIN : 1));

  constructor(database: Database, seen: SeenHeads) {
    this.#database = database;
    this.seen = seen;
  }

  /**
   * Gives the work on a tenant's chain its turn. `alone`: nobody else of this process is at the chain.
   *
   * @throws what the work throws
   */
  inTurn<T>(tenant: string, work: (alone: boolean) => Promise<T>): Promise<T> {
    return this.#queue.run(tenant, work);
  }

  /**
   * Begins a transaction that holds the tenant's chain, and reads something under the lock: a statement of its own, so that it sees what
   * the holder before committed.
   */
  async lock<Row>(
    session: TransactionSession,
    tenant: string,
    read: PreparedStatement<Row>,
  ): Promise<{ readonly head: ChainHead; readonly rows: readonly Row[] }> {
    const chains = this.#database.table('chains');
    const lock: PreparedStatement<HeadRow> = {
      name: 'lock_chain',
      query: sql<HeadRow>`select seq, hash from ${chains} where tenant = ${tenant} for update`,
    };
    const create: PreparedStatement<unknown> = {
      name: 'create_chain',
      query: sql`insert into ${chains} (tenant) values (${tenant}) on conflict do nothing`,
    };
    let [, heads, rows] = await Promise.all([session.run('begin'), session.rows(lock), session.rows(read)]);
    if (heads.length === 0) {
      [, heads, rows] = await Promise.all([session.rows(create), session.rows(lock), session.rows(read)]);
    }
    const [row] = heads;
    if (row === undefined) throw new CountersignError('INTERNAL', "The tenant's chain could not be made.");
    const head = { seq: Number(row.seq), hash: row.hash };
    this.heads.found(tenant, head);
    return { head, rows };
  }

  /** Signs for the place after the head, and remembers it as the head that is about to be. */
  async sign(tenant: string, head: ChainHead, sign: SignReceipt): Promise<{ link: ChainLink; signed: SignedReceipt }> {
    const link = nextLink(head);
    const signed = await signFor(sign, link);
    this.heads.wrote(tenant, link, signed);
    return { link, signed };
  }
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
