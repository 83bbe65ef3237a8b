/** Slows down agents that are refused repeatedly, so that neither a loop nor a flood of refusals takes a worker from the others. */
import { setTimeout as delay } from 'node:timers/promises';

/** How many refusals do not slow an agent down, each within a minute of the previous one. An honest agent is seldom refused so often. */
const FREE_REFUSALS = 10;
const FORGET_AFTER_MS = 60_000;

/** The pause between two proposals of a throttled agent. It is longer than a refusal takes, so other agents get a turn. Milliseconds. */
const PACE_MS = 40;

/** How many agents are remembered. */
const MAX_AGENTS = 1_000;

interface Refusals {
  readonly times: number;
  readonly lastAt: number;
  readonly nextAt: number;
}

/**
 * Keeps its counts only in this worker's memory, and decides nothing: a proposal that has waited is decided like any other. A waiting
 * proposal occupies one of the worker's activity slots, so at most `maxWaiting` wait in total. Others then go on at once.
 */
export class RefusalThrottle {
  readonly #maxWaiting: number;
  readonly #refused = new Map<string, Refusals>();
  #waiting = 0;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Resolves when the proposal of the agent may go on: at once, unless the agent was refused often within the last minute. */
  async wait(agent: string): Promise<void> {
    const refusals = this.#refused.get(agent);
    const now = Date.now();
    if (refusals === undefined || refusals.times < FREE_REFUSALS || now - refusals.lastAt > FORGET_AFTER_MS) return;
    const startAt = Math.max(now, refusals.nextAt);
    if (startAt > now && this.#waiting >= this.#maxWaiting) return;
    this.#refused.set(agent, { ...refusals, nextAt: startAt + PACE_MS });
    if (startAt === now) return;
    this.#waiting++;
    try {
      await delay(startAt - now);
    } finally {
      this.#waiting--;
    }
  }

  /** Counts a refusal of the agent. */
  count(agent: string): void {
    const now = Date.now();
    const refusals = this.#refused.get(agent);
    const isRecent = refusals !== undefined && now - refusals.lastAt <= FORGET_AFTER_MS;
    // Inserting the agent anew moves it to the end, so that the first entry is the oldest.
    this.#refused.delete(agent);
    this.#refused.set(agent, {
      times: isRecent ? refusals.times + 1 : 1,
      lastAt: now,
      nextAt: refusals?.nextAt ?? now,
    });
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > MAX_AGENTS && oldest !== undefined) this.#refused.delete(oldest);
  }
}
