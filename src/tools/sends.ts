/** Bounds how often one action is sent to its system, and paces the sends: exponential back-off with jitter, and what the system asks for. */
import { configInvalid } from '../action/errors-config.js';
import { CountersignError, type CountersignErrorOptions } from '../action/errors.js';

/** How often one action may be sent to its system in all: by every attempt, under every grant, in every run. */
export interface SendBound {
  /** The most sends. 1 to 20, default 5. */
  readonly max: number;
  /** The longest time from the first send to the last. Milliseconds, 1,000 to 600,000, default 60,000. */
  readonly withinMs: number;
}

export const DEFAULT_SENDS: SendBound = { max: 5, withinMs: 60_000 };

const BOUNDS: Readonly<Record<keyof SendBound, readonly [least: number, most: number]>> = {
  max: [1, 20],
  withinMs: [1_000, 600_000],
};

/** The bound that a tool's config declares. @throws CountersignError CONFIG_INVALID */
export function sendBoundOf(declared: Partial<SendBound> = {}, source: string): SendBound {
  for (const [name, value] of Object.entries(declared)) {
    const [least, most] = Object.hasOwn(BOUNDS, name) ? BOUNDS[name as keyof SendBound] : [1, 0];
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw configInvalid(`sends.${name}`, 'max (1 to 20) or withinMs (1000 to 600000), as a whole number', source);
    }
  }
  return { ...DEFAULT_SENDS, ...declared };
}

/** How often an action was sent. */
export interface SentSoFar {
  readonly sends: number;
  /** Milliseconds since the first send of the present stretch. */
  readonly sendingMs: number;
  /** Milliseconds since the first send of all. */
  readonly sinceFirstMs: number;
}

/**
 * A send that was counted longer ago than this is made only after the ledger was asked once more. Whoever is taken for dead, because no heartbeat came
 * for 5 s, has been silent for longer, and another attempt may send in its place. Milliseconds.
 */
const CONFIRM_AFTER_MS = 1_000;

/** How often the ledger is asked in a row, where its answers take too long to rely on. */
const MOST_CONFIRMATIONS = 3;

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The share that is added to a time that the system states, so that those whom it put off do not come back at one instant. */
const STATED_JITTER = 0.1;

/** An instant by both clocks of this machine: the one stands still while the machine sleeps, and the other may be set. */
export interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

export function instant(): Instant {
  return { monotonic: performance.now(), wall: Date.now() };
}

function msSince({ monotonic, wall }: Instant): number {
  return Math.max(performance.now() - monotonic, Date.now() - wall);
}

/** Whoever counts the sends of an action, durably and before each is made. */
export interface SendCounter {
  /** @throws CountersignError when nothing may be sent any more */
  count(): Promise<SentSoFar>;
  /** Passes while a send that was counted may still be made. @throws CountersignError */
  confirm(): Promise<void>;
}

/** The sends of an action, of which one is counted and still to be made. */
interface ReservedSend extends SentSoFar {
  /** Before it was counted. */
  readonly since: Instant;
}

/** The sends of one action, as one attempt of it sees them. */
export class Sends {
  readonly #bound: SendBound;
  readonly #counter: SendCounter;
  #sent: SentSoFar;
  #countedAt = performance.now();
  /** When it was last certain that the send that is counted may be made. */
  #confirmedAt: Instant;
  /** Whether a send is counted that was not made yet. */
  #reserved: boolean;
  #failures = 0;
  #closed = false;

  constructor(bound: SendBound, counter: SendCounter, reserved?: ReservedSend) {
    this.#bound = bound;
    this.#counter = counter;
    this.#sent = reserved ?? { sends: 0, sendingMs: 0, sinceFirstMs: 0 };
    this.#reserved = reserved !== undefined;
    this.#confirmedAt = reserved?.since ?? instant();
  }

  /** Counts the sends of one call only: for a tool that is called without a ledger. */
  static ofOneCall(bound: SendBound): Sends {
    const start = performance.now();
    let sends = 0;
    return new Sends(bound, {
      async count() {
        const ms = performance.now() - start;
        return { sends: ++sends, sendingMs: ms, sinceFirstMs: ms };
      },
      confirm: async () => {},
    });
  }

  /** Whether a send is counted that was not made. */
  get reserved(): boolean {
    return this.#reserved;
  }

  /** Milliseconds since the first send of the action. */
  get sinceFirstMs(): number {
    return this.#sent.sinceFirstMs + this.#elapsed();
  }

  /**
   * Counts a send that is about to be made, unless one is counted already.
   *
   * @throws CountersignError TOOL_UNAVAILABLE when it may not be made; what counting and confirming throw
   */
  async reserve(): Promise<void> {
    if (!this.#reserved) {
      const now = instant();
      this.#sent = await this.#counter.count();
      this.#countedAt = performance.now();
      this.#confirmedAt = now;
      this.#reserved = true;
    }
    await this.#confirm();
    if (this.#sent.sends > this.#bound.max || this.#sendingMs() > this.#bound.withinMs) {
      this.close();
      throw this.over();
    }
  }

  /** To be called right before each send. @throws CountersignError TOOL_UNAVAILABLE when it may not be made */
  async begin(): Promise<void> {
    await this.reserve();
    this.#reserved = false;
  }

  /** The send that was begun certainly never left, so it does not count. */
  unsent(): void {
    this.#reserved = true;
  }

  /** No further send is of use. */
  close(): void {
    this.#closed = true;
  }

  /** How long to wait before the next send. Milliseconds; undefined when there may be none. It is never 0. */
  pauseAfter({ retryAfterMs = 0 }: Pick<CountersignErrorOptions, 'retryAfterMs'>): number | undefined {
    const own = Math.min(FIRST_PAUSE_MS * 2 ** Math.max(this.#failures++, this.#sent.sends - 1), LONGEST_PAUSE_MS);
    const stated = retryAfterMs * (1 + STATED_JITTER * Math.random());
    const pause = Math.ceil(Math.max(stated, own * (0.5 + Math.random() / 2)));
    const spent = !this.#reserved && this.#sent.sends >= this.#bound.max;
    return this.#closed || spent || this.#sendingMs() + pause > this.#bound.withinMs ? undefined : pause;
  }

  /** The error of an action that is not sent any more, after the last of its failures. */
  over(last?: CountersignError): CountersignError {
    const { max, withinMs } = this.#bound;
    const before = last === undefined ? '' : `${last.message} `;
    return new CountersignError('TOOL_UNAVAILABLE', `${before}It is not sent again.`, {
      expected: `at most ${max} sends of an action within ${withinMs} ms`,
      // Whether an earlier attempt had an effect is for the caller to say.
      fix: 'If the outcome is failed, propose it again under a new actionId, not before the time in retryAfterMs.',
      retryAfterMs: Math.ceil(last?.retryAfterMs ?? LONGEST_PAUSE_MS),
      ...(last === undefined ? {} : { cause: last }),
    });
  }

  /** This process may have been stopped for any time since the send was counted. */
  async #confirm(): Promise<void> {
    for (let asked = 0; msSince(this.#confirmedAt) > CONFIRM_AFTER_MS; asked++) {
      if (asked === MOST_CONFIRMATIONS) throw tooSlow();
      const now = instant();
      await this.#counter.confirm();
      this.#confirmedAt = now;
    }
  }

  #elapsed(): number {
    return performance.now() - this.#countedAt;
  }

  #sendingMs(): number {
    return this.#sent.sends === 0 ? 0 : this.#sent.sendingMs + this.#elapsed();
  }
}

function tooSlow(): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', 'The ledger takes too long to say whether this may still be sent.', {
    expected: `an answer of the ledger within ${CONFIRM_AFTER_MS} ms`,
    fix: 'Nothing was sent. See why the ledger, or the worker, is slow; then propose again.',
    retryable: true,
  });
}
