/** Whoever is refused again and again takes turns on a worker: neither a loop nor a flood of refusals takes it from the others. */
import { setTimeout as delay } from 'node:timers/promises';

/** Refusals that cost no turn, each within a minute of the one before. An honest agent is seldom refused so often. */
const FREE = 10;
const FORGOTTEN_MS = 60_000;

/** From one turn of an agent to its next, milliseconds. Longer than a refusal takes, so that there is room beside it. */
const APART_MS = 40;

/** Agents that are remembered. */
const KEPT = 1_000;

interface Refused {
  readonly times: number;
  readonly lastAt: number;
  readonly nextAt: number;
}

/**
 * Only in this worker's memory, and nothing is decided here: a proposal that has waited is decided on as any other. What waits has a
 * place among the worker's steps, so at most `most` wait, whoever they are of; the rest go on at once.
 */
export class Turns {
  readonly #most: number;
  readonly #refused = new Map<string, Refused>();
  #waiting = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Returns when it is the agent's turn; at once for one that was not refused often lately. */
  async take(agent: string): Promise<void> {
    const known = this.#refused.get(agent);
    const now = Date.now();
    if (known === undefined || known.times < FREE || now - known.lastAt > FORGOTTEN_MS) return;
    const at = Math.max(now, known.nextAt);
    if (at > now && this.#waiting >= this.#most) return;
    this.#refused.set(agent, { ...known, nextAt: at + APART_MS });
    if (at === now) return;
    this.#waiting++;
    try {
      await delay(at - now);
    } finally {
      this.#waiting--;
    }
  }

  refused(agent: string): void {
    const now = Date.now();
    const known = this.#refused.get(agent);
    const lately = known !== undefined && now - known.lastAt <= FORGOTTEN_MS;
    // The latest comes last, so that the first is the one to forget.
    this.#refused.delete(agent);
    this.#refused.set(agent, { times: lately ? known.times + 1 : 1, lastAt: now, nextAt: known?.nextAt ?? now });
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > KEPT && oldest !== undefined) this.#refused.delete(oldest);
  }
}
