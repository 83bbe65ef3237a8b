/** Where this process believes that its chains end, and whether it is alone in writing to them. It may be wrong: the database checks it. */
import type { ChainHead, ChainLink, SignedReceipt } from './receipt.js';

/** How many receipts in a row must have followed our own, after another worker's came between, until we believe to be alone again. */
const ALONE_AFTER = 8;

/** As many tenants are remembered, those used last. */
const MOST = 10_000;

interface Belief {
  readonly head: ChainHead;
  /** Receipts since the last that was not ours. */
  readonly quiet: number;
}

export class ChainHeadCache {
  readonly #beliefs = new Map<string, Belief>();

  /** The head to sign for without asking; undefined when others write to this chain, or we never did. */
  guess(tenant: string): ChainHead | undefined {
    const belief = this.#beliefs.get(tenant);
    return belief !== undefined && belief.quiet >= ALONE_AFTER ? belief.head : undefined;
  }

  /** What the chain's head was under its lock. */
  found(tenant: string, head: ChainHead): void {
    const belief = this.#beliefs.get(tenant);
    if (belief === undefined) return;
    this.#keep(tenant, { head, quiet: belief.head.hash === head.hash ? belief.quiet + 1 : 0 });
  }

  /** Before the write is sent: whoever of us holds the lock next finds it. Should the write fail, that looks like another worker. */
  wrote(tenant: string, link: ChainLink, signed: SignedReceipt): void {
    const quiet = this.#beliefs.get(tenant)?.quiet ?? ALONE_AFTER;
    this.#keep(tenant, { head: { seq: link.seq, hash: signed.hash }, quiet });
  }

  #keep(tenant: string, belief: Belief): void {
    this.#beliefs.delete(tenant);
    this.#beliefs.set(tenant, belief);
    if (this.#beliefs.size <= MOST) return;
    for (const oldest of this.#beliefs.keys()) {
      this.#beliefs.delete(oldest);
      return;
    }
  }
}
