/** Where the chains end as far as this process knows, and whether it is alone in writing to them. It may be wrong: the database checks it. */
import { LRUCache } from 'lru-cache';
import type { ChainHead, ChainLink, SignedReceipt } from './receipt.js';

/** How many receipts in a row must have followed our own, after another worker's came between, until we take ourselves to be alone again. */
const ALONE_AFTER = 8;

/** As many tenants are remembered, those used last. */
const MOST = 10_000;

interface CachedHead {
  readonly head: ChainHead;
  /** Receipts since the last that was not ours. */
  readonly quiet: number;
}

export class ChainHeadCache {
  readonly #cached = new LRUCache<string, CachedHead>({ max: MOST });

  /** The head to sign for without asking; undefined when others write to this chain, or we never did. */
  guess(tenant: string): ChainHead | undefined {
    const cached = this.#cached.get(tenant);
    return cached !== undefined && cached.quiet >= ALONE_AFTER ? cached.head : undefined;
  }

  /** What the chain's head was under its lock. */
  found(tenant: string, head: ChainHead): void {
    const cached = this.#cached.get(tenant);
    if (cached === undefined) return;
    this.#cached.set(tenant, { head, quiet: cached.head.hash === head.hash ? cached.quiet + 1 : 0 });
  }

  /** Before the write is sent: whoever of us holds the lock next finds it. Should the write fail, that looks like another worker. */
  wrote(tenant: string, link: ChainLink, signed: SignedReceipt): void {
    const quiet = this.#cached.get(tenant)?.quiet ?? ALONE_AFTER;
    this.#cached.set(tenant, { head: { seq: link.seq, hash: signed.hash }, quiet });
  }
}
