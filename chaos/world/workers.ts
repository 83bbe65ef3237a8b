/** Two worker processes and their supervisor: one that dies is replaced, as a process manager would. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from './child.js';
import { startWorkerProcess, type WorkerTrouble } from './worker-process.js';
import type { WorkerPlaces } from './worker.js';

export const WORKERS = 2;

/** Between two tries to start a worker while what it stands on is away, milliseconds. */
const RETRY_MS = 300;

/** How long a dead worker's replacement is waited for, milliseconds. */
const REPLACED_MS = 20_000;

export class Workers {
  readonly #places: WorkerPlaces;
  readonly #running: (Child | undefined)[] = [];
  readonly #supervisors: Promise<void>[] = [];
  /** What the next one of a slot is started with. */
  readonly #next = new Map<number, WorkerTrouble>();
  #stopping = false;
  /** How many died, whatever the reason. */
  deaths = 0;

  constructor(places: WorkerPlaces) {
    this.#places = places;
  }

  /** Returns once all poll. */
  async start(): Promise<void> {
    await Promise.all(
      Array.from({ length: WORKERS }, async (_, slot) => {
        this.#running[slot] = await startWorkerProcess(this.#places);
        this.#supervisors.push(this.#supervise(slot));
      }),
    );
  }

  /** SIGKILL, once there is one to kill. What replaces it is told `trouble`. */
  async kill(slot: number, trouble: WorkerTrouble = {}): Promise<void> {
    const latest = Date.now() + REPLACED_MS;
    while (this.#running[slot]?.hasEnded() !== false && Date.now() < latest) await delay(50);
    this.#next.set(slot, trouble);
    await this.#running[slot]?.kill();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running.map(async (child) => await child?.kill()));
    await Promise.all(this.#supervisors);
  }

  async #supervise(slot: number): Promise<void> {
    for (;;) {
      await this.#running[slot]?.ended;
      if (this.#stopping) return;
      this.deaths++;
      const trouble = this.#next.get(slot) ?? {};
      this.#next.delete(slot);
      this.#running[slot] = await this.#replacement(trouble);
      if (this.#stopping) await this.#running[slot]?.kill();
    }
  }

  async #replacement(trouble: WorkerTrouble): Promise<Child | undefined> {
    while (!this.#stopping) {
      try {
        return await startWorkerProcess(this.#places, trouble);
      } catch {
        await delay(RETRY_MS);
      }
    }
    return undefined;
  }
}
