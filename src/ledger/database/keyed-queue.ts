/** Work on one thing by few at a time, the others in the order they came. */

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

export class KeyedQueue {
  readonly #width: (thing: string) => number;
  readonly #lines = new Map<string, Line>();

  /** @param width how many may work on a thing at once, asked whenever one is to begin; at least 1 */
  constructor(width: (thing: string) => number) {
    this.#width = width;
  }

  /** Gives the work its turn, and tells it whether nobody else of us works on the thing. */
  async run<T>(thing: string, work: (alone: boolean) => Promise<T>): Promise<T> {
    const line = this.#lines.get(thing) ?? { running: 0, waiting: [] };
    this.#lines.set(thing, line);
    if (line.running >= this.#width(thing)) await new Promise<void>((resolve) => line.waiting.push(resolve));
    else line.running++;
    try {
      return await work(line.running === 1);
    } finally {
      line.running--;
      while (line.waiting.length > 0 && line.running < this.#width(thing)) {
        line.running++;
        line.waiting.shift()?.();
      }
      if (line.running === 0) this.#lines.delete(thing);
    }
  }
}
