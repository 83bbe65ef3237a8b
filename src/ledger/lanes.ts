/** Work on one thing by few at a time, the others in the order they came. */

interface Lane {
  running: number;
  readonly waiting: (() => void)[];
}

export class Lanes {
  readonly #width: number;
  readonly #lanes = new Map<string, Lane>();

  /** @param width how many may work on one thing at once */
  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(thing: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(thing) ?? { running: 0, waiting: [] };
    this.#lanes.set(thing, lane);
    if (lane.running < this.#width) lane.running++;
    else await new Promise<void>((resolve) => lane.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = lane.waiting.shift();
      if (next !== undefined) next();
      else if (--lane.running === 0) this.#lanes.delete(thing);
    }
  }
}
