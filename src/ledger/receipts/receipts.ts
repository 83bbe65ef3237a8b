/** Receipts: what settles an action, and the chains that they stand in. */
import { sql } from 'kysely';
import type { Digest } from '../../action/json.js';
import type { ReceiptRef } from '../../action/outcome.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { brokenChain, type BrokenChain } from './broken-chain.js';
import { append, Chains } from './chain.js';
import { receiptsOfPins } from './of-pins.js';
import type { ChainHead, SignReceipt, LedgerReceipt } from './receipt.js';
import { resolve } from './resolve.js';
import type { SeenHeads } from './seen-heads.js';
import { actionStatement, settle } from './settle.js';
import type { ResolveRequest, Settled, Settlement, SettleRequest } from './settlement.js';

export interface AppendReceiptRequest {
  readonly tenant: string;
  readonly actionId: string;
  readonly sign: SignReceipt;
}

/** How many receipts are read at once. */
const PAGE = 500;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). Further errors are named with each. */
export class Receipts {
  readonly #database: Database;
  readonly #chains: Chains;

  constructor(database: Database, seen: SeenHeads) {
    this.#database = database;
    this.#chains = new Chains(database, seen);
  }

  /**
   * Records the outcome of an action with its receipt, at the end of the tenant's chain, and ends its holds, in one transaction. The
   * first outcome is the outcome: settling again returns it. One round trip where no other worker writes to the chain.
   *
   * An outcome `denied`, `failed`, `cancelled` or `expired` is not recorded while a grant of the action was used by another run, unless
   * `effectRuledOut`. This is decided under the lock that a use of a grant takes: of a use and a settling at once, the later sees the
   * earlier.
   *
   * @throws CountersignError ACTION_CONFLICT when the action id stands for another proposal; whatever `sign` throws
   */
  settle(request: SettleRequest): Promise<Settlement> {
    return settle(this.#database, this.#chains, request);
  }

  /**
   * Replaces the outcome `unknown` by what a person says, with a receipt of its own and the end of the holds that were kept, in one
   * transaction. Resolving again returns what is recorded.
   *
   * @throws CountersignError NOT_FOUND, NOT_UNKNOWN, INVALID_INPUT when the new status is none that a resolution can have; whatever
   *   `sign` throws
   */
  resolve(request: ResolveRequest): Promise<Settled> {
    return resolve(this.#database, this.#chains, request);
  }

  /**
   * Appends a receipt that settles no action, such as the refusal of a conflicting proposal. Not idempotent: a retry after a lost
   * reply can leave two receipts that say the same.
   */
  append(request: AppendReceiptRequest): Promise<ReceiptRef> {
    const { tenant, actionId, sign } = request;
    return this.#chains.inTurn(tenant, () =>
      this.#database.transaction(async (session) => {
        const { head } = await this.#chains.lock(
          session,
          tenant,
          actionStatement(this.#database, { tenant, actionId }),
        );
        const { link, signed } = await this.#chains.sign(tenant, head, sign);
        const write: PreparedStatement<unknown> = {
          name: 'append_receipt',
          query: sql`
            with ${append(this.#database, request, link, signed, sql`(values (true)) as always`)}
            select`,
        };
        await Promise.all([session.rows(write), session.run('commit')]);
        this.#chains.seen.saw(tenant, link.seq);
        return { tenant, seq: link.seq, hash: signed.hash };
      }),
    );
  }

  /** Those for signed commands that accepted these pins, whatever the tenant, as they were signed. */
  ofPins(pins: Digest): Promise<readonly string[]> {
    return receiptsOfPins(this.#database, pins);
  }

  /** The last receipt of a tenant's chain. */
  async head(tenant: string): Promise<ChainHead> {
    return await this.#database.ask(async (kysely) => {
      const row = await kysely
        .selectFrom('chains')
        .select(['seq', 'hash'])
        .where('tenant', '=', tenant)
        .executeTakeFirst();
      return { seq: Number(row?.seq ?? 0), hash: row?.hash ?? null };
    });
  }

  /** The tenants whose chain cannot take another receipt, sorted, and why. */
  async broken(): Promise<readonly (BrokenChain & { readonly tenant: string })[]> {
    return await this.#database.rows({
      name: 'broken_chains',
      query: sql<BrokenChain & { readonly tenant: string }>`
        select known.tenant, chain_end.fault, chain_end.seq
        from (
          select tenant from ${this.#database.table('chains')}
          union select tenant from ${this.#database.table('receipts')}
          union select tenant from ${this.#database.table('actions')} where receipt_seq is not null
        ) as known
        cross join lateral (${brokenChain(this.#database, sql`known.tenant`, 0)}) as chain_end
        order by known.tenant`,
    });
  }

  /** What is wrong with the end of one tenant's chain, as far as this process knows. Undefined: it can take the next receipt. */
  async brokenOf(tenant: string): Promise<BrokenChain | undefined> {
    const seen = this.#chains.seen.of(tenant);
    const [fault] = await this.#database.rows({
      name: 'broken_chain',
      query: brokenChain(this.#database, sql`${tenant}`, seen),
    });
    return fault;
  }

  /** Those that have a chain, sorted. */
  async tenants(): Promise<readonly string[]> {
    return await this.#database.ask(async (kysely) => {
      const rows = await kysely
        .selectFrom('chains')
        .select('tenant')
        .where('seq', '>', '0')
        .orderBy('tenant')
        .execute();
      return rows.map((row) => row.tenant);
    });
  }

  /** A tenant's receipts in order, read in pages: what is appended meanwhile may be among them. */
  async *list(tenant: string, { after = 0 }: { readonly after?: number } = {}): AsyncGenerator<LedgerReceipt> {
    let last = after;
    for (;;) {
      const rows = await this.#database.ask((kysely) =>
        kysely
          .selectFrom('receipts')
          .select(['seq', 'hash', 'jws', 'action_id', 'at'])
          .where('tenant', '=', tenant)
          .where('seq', '>', String(last))
          .orderBy('seq')
          .limit(PAGE)
          .execute(),
      );
      for (const row of rows) {
        last = Number(row.seq);
        yield { seq: last, hash: row.hash, jws: row.jws, actionId: row.action_id, at: row.at.toISOString() };
      }
      if (rows.length < PAGE) return;
    }
  }
}
