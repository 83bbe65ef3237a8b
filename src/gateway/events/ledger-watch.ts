/** Notifies listeners when something in the ledger changes: one query a second for each key, however many listen. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

const EVERY_MS = 1000;

interface LedgerWatchOptions {
  /** What is watched, for the log: `the inbox`. */
  readonly what: string;
  /** Another text whenever what the key names has changed. */
  readonly fingerprint: (key: string) => Promise<string>;
  readonly logger: Logger;
  readonly closing: AbortSignal;
}

type Listener = (fingerprint: string) => void;

interface Watched {
  readonly listeners: Set<Listener>;
  last: string | undefined;
}

export class LedgerWatch {
  readonly #options: LedgerWatchOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: LedgerWatchOptions) {
    this.#options = options;
  }

  /**
   * Tells how it stands now, and whenever it has changed.
   *
   * @returns to be called when nobody listens any more
   */
  listen(key: string, listener: Listener): () => void {
    const watched = this.#watched.get(key) ?? { listeners: new Set(), last: undefined };
    watched.listeners.add(listener);
    if (watched.last !== undefined) listener(watched.last);
    if (!this.#watched.has(key)) {
      this.#watched.set(key, watched);
      void this.#look(key, watched);
    }
    return () => {
      watched.listeners.delete(listener);
      if (watched.listeners.size === 0 && this.#watched.get(key) === watched) this.#watched.delete(key);
    };
  }

  /** Until the last listener is gone. */
  async #look(key: string, watched: Watched): Promise<void> {
    const { what, fingerprint, logger, closing } = this.#options;
    while (!closing.aborted && this.#watched.get(key) === watched) {
      try {
        const now = await fingerprint(key);
        if (now !== watched.last) {
          watched.last = now;
          for (const tell of watched.listeners) tell(now);
        }
      } catch (error) {
        // It is looked at again: a ledger that is away for a moment must not end anybody's stream.
        logger.warn({ err: error }, `${what} cannot be watched at this moment`);
      }
      await delay(EVERY_MS, undefined, { signal: closing, ref: false }).catch(() => {});
    }
  }
}
