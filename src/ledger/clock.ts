/**
 * What time it is by the database's clock, which all workers share. It is read now and then and carried on by the time that has passed
 * since, so that nobody judges a signature by the clock of their own machine, and hardly anybody waits for the database.
 */
import { sql } from 'kysely';
import type { Database } from './database/database.js';

/** For how long a reading is carried on. No machine counts a minute wrong by more than a few milliseconds. */
const CARRIED_MS = 60_000;

/** By how much the process's two clocks may differ in what has passed since a reading. More: one of them was set, or stood still. */
const CLOCKS_DIFFER_MS = 1_000;

/** A clock that is further off than this is to be set right. Milliseconds. */
export const CLOCK_OFF_MS = 2_000;

/** An answer that took longer says too little of the instant that it is about; the best of a few is taken. */
const PROMPT_MS = 1_000;
const TRIES = 3;

/** An instant by both clocks of the process. Milliseconds. */
interface Here {
  readonly monotonic: number;
  readonly wall: number;
}

interface Reading extends Here {
  /** What the ledger's clock said no earlier than that. Milliseconds since the epoch. */
  readonly ledger: number;
  /** By how much `ledger` may be ahead. Milliseconds. */
  readonly within: number;
}

function here(): Here {
  return { monotonic: performance.now(), wall: Date.now() };
}

export class LedgerClock {
  readonly #database: Database;
  #reading: Reading | undefined;
  #asking: Promise<Reading> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * The time by the ledger's clock: never behind it, so that what has expired there has expired here. One round trip where the last reading
   * is too old, or the process's clock was set since.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE
   */
  async read(): Promise<Date> {
    if (!this.#isCarriedOn()) await this.look();
    return this.now();
  }

  /** The same as far as it is known without asking; the process's own clock before the first reading. For what nobody is refused by. */
  now(): Date {
    const reading = this.#reading;
    return reading === undefined ? new Date() : new Date(reading.ledger + performance.now() - reading.monotonic);
  }

  /** How far the process's clock is ahead of the ledger's; negative where it is behind. Undefined before the first reading. Milliseconds. */
  get aheadMs(): number | undefined {
    return this.#reading === undefined ? undefined : Math.round(Date.now() - this.now().getTime());
  }

  /** Reads the ledger's clock. One round trip. @throws CountersignError LEDGER_UNAVAILABLE */
  async look(): Promise<void> {
    this.#asking ??= this.#best().finally(() => (this.#asking = undefined));
    this.#reading = await this.#asking;
  }

  #isCarriedOn(): boolean {
    if (this.#reading === undefined) return false;
    const { monotonic, wall } = here();
    const passed = monotonic - this.#reading.monotonic;
    return passed < CARRIED_MS && Math.abs(wall - this.#reading.wall - passed) < CLOCKS_DIFFER_MS;
  }

  async #best(): Promise<Reading> {
    let best = await this.#ask();
    for (let tries = 1; tries < TRIES && best.within > PROMPT_MS; tries++) {
      const next = await this.#ask();
      if (next.within < best.within) best = next;
    }
    return best;
  }

  async #ask(): Promise<Reading> {
    const asked = performance.now();
    const [row] = await this.#database.rows({
      name: 'clock',
      query: sql<{ now: string }>`select extract(epoch from clock_timestamp()) * 1000 as now`,
    });
    const answered = here();
    const within = answered.monotonic - asked;
    return { ...answered, ledger: Number(row?.now) + within, within };
  }
}
