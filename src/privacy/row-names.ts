/** Rows in states are named by their keys. Where a column of the key is redacted, so is the name, even where it is a word that other names have too. */
import type { Json, JsonObject } from '../action/json.js';
import { isRedacted } from '../action/redacted.js';

interface Fields {
  isField(name: string): boolean;
  /** What stands for one value. */
  token(value: string | number | boolean): string;
}

export class RowNames {
  readonly #by: Fields;
  /** By the name: what stands for it. */
  readonly #names = new Map<string, string>();

  constructor(by: Fields) {
    this.#by = by;
  }

  /** Finds the rows in a state, however deep. */
  learn(state: Json): void {
    if (typeof state !== 'object' || state === null) return;
    for (const [name, item] of Object.entries(state as JsonObject)) {
      if (typeof item !== 'object' || item === null) continue;
      if (!Array.isArray(item) && !Array.isArray(state)) this.#learnRow(name, item as JsonObject);
      this.learn(item);
    }
  }

  /** The name, or what stands for it. */
  renamed(name: string): string {
    return this.#names.get(name) ?? name;
  }

  /** Several values of a key are joined by commas. */
  #learnRow(name: string, row: JsonObject): void {
    const parts = name.split(',');
    const secret = new Map<string, string>();
    for (const [field, value] of Object.entries(row)) {
      if (!this.#by.isField(field) || typeof value === 'object' || isRedacted(value)) continue;
      const text = String(value);
      if (text === name) this.#names.set(name, this.#by.token(value));
      secret.set(text, this.#by.token(value));
    }
    if (this.#names.has(name) || !parts.some((part) => secret.has(part))) return;
    this.#names.set(name, parts.map((part) => secret.get(part) ?? part).join(','));
  }
}
