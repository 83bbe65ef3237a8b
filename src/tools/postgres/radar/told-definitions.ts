/** What the log has said of definitions and a look at the catalog is still to find: it is not told twice, also by whoever goes on. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { RadarWriter } from '../../../action/radar.js';
import type { CatalogChange } from './catalog-changes.js';
import type { TransactionSnapshot } from './transaction-snapshot.js';

interface Told {
  readonly writers: readonly RadarWriter[];
  /** The one that did it, as the log numbers it: a look that saw it has found what it did. */
  readonly transaction: string;
}

export class ToldDefinitions {
  readonly #told: Map<string, Told>;

  /** What was remembered is our own. What is of another form, such as one of another version, is left out. */
  constructor(remembered: Json | undefined) {
    const entries = Array.isArray(remembered) ? (remembered as readonly Json[]) : [];
    this.#told = new Map(entries.flatMap(entryIn));
  }

  add(kind: CatalogChange['kind'], name: string, told: Told): void {
    this.#told.set(`${kind} ${name}`, told);
  }

  /** Undefined where the log has not said it. */
  writersOf(kind: CatalogChange['kind'], name: string): readonly RadarWriter[] | undefined {
    return this.#told.get(`${kind} ${name}`)?.writers;
  }

  /** What a look that saw these transactions has settled. */
  looked(snapshot: TransactionSnapshot): void {
    for (const [key, { transaction }] of this.#told) if (snapshot.sees(transaction)) this.#told.delete(key);
  }

  /** `looked`: as it is after one more look, which saw these transactions. */
  remembered(looked: TransactionSnapshot | undefined): readonly JsonObject[] {
    return [...this.#told]
      .filter(([, { transaction }]) => looked?.sees(transaction) !== true)
      .map(([key, { writers, transaction }]) => ({
        key,
        writers: writers.map((writer) => ({ ...writer })),
        transaction,
      }));
  }
}

function entryIn(entry: Json): readonly [string, Told][] {
  const { key, writers, transaction } = (entry ?? {}) as { key?: unknown; writers?: unknown; transaction?: unknown };
  if (typeof key !== 'string' || !Array.isArray(writers) || typeof transaction !== 'string') return [];
  return [[key, { writers: writers as readonly RadarWriter[], transaction }]];
}
