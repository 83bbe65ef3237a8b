/**
 * Stands in for `lru-cache` where policies are read and compiled, and where time is divided into windows. In a thread that is kept, what one mutant made must not be handed to the next; and
 * where no mutant is in what reads or compiles policies, compiling them anew for each is most of what a mutant costs.
 */
import { LRUCache as Cache } from 'lru-cache';

const KEEPS = process.env['MUTATION_KEEPS_POLICIES'] !== undefined;
const made: { clear(): void }[] = [];

/** A cache that is emptied before each file of tests, or one that keeps everything. */
export class LRUCache<Key extends object | string, Value extends object | string | number> extends Cache<Key, Value> {
  constructor({ max }: { readonly max: number }) {
    super({ max: KEEPS ? 10_000 : max });
    if (!KEEPS) made.push(this);
  }
}

export function emptyCaches(): void {
  for (const cache of made) cache.clear();
}
