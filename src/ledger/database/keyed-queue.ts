/** A queue for each key: few work under one key at a time, the others wait in the order in which they came. */

interface Waiting {
  running: number;
  readonly waiting: (() => void)[];
}

export class KeyedQueue {
  readonly #concurrency: (key: string) => number;
  readonly #queues = new Map<string, Waiting>();

  /** @param concurrency how many may work under a key at once, asked whenever one is to begin; at least 1 */
  constructor(concurrency: (key: string) => number) {
    this.#concurrency = concurrency;
  }

  /** Gives the work its turn, and tells it whether nobody else of this process works under the key. */
  async run<T>(key: string, work: (alone: boolean) => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? { running: 0, waiting: [] };
    this.#queues.set(key, queue);
    if (queue.running >= this.#concurrency(key)) await new Promise<void>((resolve) => queue.waiting.push(resolve));
    else queue.running++;
    try {
      return await work(queue.running === 1);
    } finally {
      queue.running--;
      while (queue.waiting.length > 0 && queue.running < this.#concurrency(key)) {
        queue.running++;
        queue.waiting.shift()?.();
      }
      if (queue.running === 0) this.#queues.delete(key);
    }
  }
}
