/** Chance from a seed: the same seed and name give the same draws, whatever else is drawn meanwhile and in whatever order. */
import { createHash } from 'node:crypto';

export class Chance {
  readonly #seed: string;
  #drawn = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A stream of its own, the same for the same name. */
  of(name: string): Chance {
    return new Chance(`${this.#seed}/${name}`);
  }

  /** At least 0, below 1. */
  next(): number {
    const hash = createHash('sha256').update(`${this.#seed}#${this.#drawn++}`).digest();
    return hash.readUIntBE(0, 6) / 2 ** 48;
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** @throws RangeError when there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.int(0, from.length - 1)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }

  /** One of the names, as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Partial<Record<Name, number>>>): Name {
    const all = Object.entries(weights) as [Name, number][];
    let left = this.next() * all.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of all) {
      left -= weight;
      if (left < 0) return name;
    }
    return this.pick(all)[0];
  }

  shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}
