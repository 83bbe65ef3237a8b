/** Work on one thing by few at a time, the others in the order they came. */

interface Lane {
  running: number;
  readonly waiting: (() => void)[];
}

export class Lanes {
  readonly #width: (thing: string) => number;
  readonly #lanes = new Map<string, Lane>();

  /** @param width how many may work on a thing at once, asked whenever one is to begin; at least 1 */
  constructor(width: (thing: string) => number) {
    this.#width = width;
  }

  /** Gives the work its turn, and tells it whether nobody else of us works on the thing. */
  async run<T>(thing: string, work: (alone: boolean) => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(thing) ?? { running: 0, waiting: [] };
    this.#lanes.set(thing, lane);
    if (lane.running >= this.#width(thing)) await new Promise<void>((resolve) => lane.waiting.push(resolve));
    else lane.running++;
    try {
      return await work(lane.running === 1);
    } finally {
      lane.running--;
      while (lane.waiting.length > 0 && lane.running < this.#width(thing)) {
        lane.running++;
        lane.waiting.shift()?.();
      }
      if (lane.running === 0) this.#lanes.delete(thing);
    }
  }
}
