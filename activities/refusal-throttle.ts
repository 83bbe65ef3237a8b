/** Slows down whoever is refused again and again, so that neither a loop nor a flood of refusals takes a worker from the others. */
import { setTimeout as delay } from 'node:timers/promises';

/** Refusals that slow nobody down, each within a minute of the one before. An honest agent is seldom refused so often. */
const FREE_REFUSALS = 10;
const FORGET_AFTER_MS = 60_000;

/** Between two proposals of a throttled agent, milliseconds. Longer than a refusal takes, so that there is room beside it. */
const PACE_MS = 40;

/** Agents that are remembered. */
const MAX_AGENTS = 1_000;

interface Refusals {
  readonly times: number;
  readonly lastAt: number;
  readonly nextAt: number;
}

/**
 * Only in this worker's memory, and nothing is decided here: a proposal that has waited is decided on as any other. What waits has a
 * place among the worker's steps, so at most `maxWaiting` wait, whoever they are of; the rest go on at once.
 */
export class RefusalThrottle {
  readonly #maxWaiting: number;
  readonly #refused = new Map<string, Refusals>();
  #waiting = 0;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Returns when the agent may go on: at once, unless it was refused often lately. */
  async wait(agent: string): Promise<void> {
    const known = this.#refused.get(agent);
    const now = Date.now();
    if (known === undefined || known.times < FREE_REFUSALS || now - known.lastAt > FORGET_AFTER_MS) return;
    const at = Math.max(now, known.nextAt);
    if (at > now && this.#waiting >= this.#maxWaiting) return;
    this.#refused.set(agent, { ...known, nextAt: at + PACE_MS });
    if (at === now) return;
    this.#waiting++;
    try {
      await delay(at - now);
    } finally {
      this.#waiting--;
    }
  }

  /** Counts a refusal. */
  count(agent: string): void {
    const now = Date.now();
    const known = this.#refused.get(agent);
    const lately = known !== undefined && now - known.lastAt <= FORGET_AFTER_MS;
    // The latest comes last, so that the first is the one to forget.
    this.#refused.delete(agent);
    this.#refused.set(agent, { times: lately ? known.times + 1 : 1, lastAt: now, nextAt: known?.nextAt ?? now });
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > MAX_AGENTS && oldest !== undefined) this.#refused.delete(oldest);
  }
}
