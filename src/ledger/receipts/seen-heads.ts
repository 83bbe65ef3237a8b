/** How far each tenant's chain of receipts went as far as this process knows: a ledger that ends before that was set back. */
import { LRUCache } from 'lru-cache';

/** As many tenants are remembered, those used last. */
const MOST = 10_000;

export class SeenHeads {
  readonly #seen = new LRUCache<string, number>({ max: MOST });

  /** A receipt of the tenant that is known to be committed. */
  saw(tenant: string, seq: number): void {
    if (seq > this.of(tenant)) this.#seen.set(tenant, seq);
  }

  /** The last receipt that was seen committed; 0 where none was. */
  of(tenant: string): number {
    return this.#seen.get(tenant) ?? 0;
  }
}
