/** What the log has said of definitions and a look at the catalog is still to find: it is not told twice, also by whoever goes on. */
import type { Json, JsonObject } from '../../../action/json.js';
import type { RadarWriter } from '../../../action/radar.js';
import type { CatalogChange } from './catalog-changes.js';

interface Told {
  readonly writers: readonly RadarWriter[];
  looks: number;
}

/** A look that began before the log said it may not have seen it, nor the one after. */
const LOOKS = 2;

export class ToldDefinitions {
  readonly #told: Map<string, Told>;

  /** What was remembered is our own. What is of another form, such as one of another version, is left out. */
  constructor(remembered: Json | undefined) {
    const entries = Array.isArray(remembered) ? (remembered as readonly Json[]) : [];
    this.#told = new Map(entries.flatMap(entryIn));
  }

  add(kind: CatalogChange['kind'], name: string, writers: readonly RadarWriter[]): void {
    this.#told.set(`${kind} ${name}`, { writers, looks: LOOKS });
  }

  /** Undefined where the log has not said it. */
  writersOf(kind: CatalogChange['kind'], name: string): readonly RadarWriter[] | undefined {
    return this.#told.get(`${kind} ${name}`)?.writers;
  }

  /** A look was settled. */
  looked(): void {
    for (const [key, told] of this.#told) if (--told.looks <= 0) this.#told.delete(key);
  }

  /** `looked`: as it is after one more look. */
  remembered(looked: boolean): readonly JsonObject[] {
    return [...this.#told].flatMap(([key, { writers, looks }]) => {
      const left = looked ? looks - 1 : looks;
      return left <= 0 ? [] : [{ key, writers: writers.map((writer) => ({ ...writer })), looks: left }];
    });
  }
}

function entryIn(entry: Json): readonly [string, Told][] {
  const { key, writers, looks } = (entry ?? {}) as { key?: unknown; writers?: unknown; looks?: unknown };
  if (typeof key !== 'string' || !Array.isArray(writers) || typeof looks !== 'number') return [];
  return [[key, { writers: writers as readonly RadarWriter[], looks }]];
}
