/** Notifies listeners when the list of what waits for people changes: one query a second for each tenant, however many listen. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

const EVERY_MS = 1000;

interface InboxWatchOptions {
  /** Another text whenever the tenant's list changed. */
  readonly fingerprint: (tenant: string) => Promise<string>;
  readonly logger: Logger;
  readonly closing: AbortSignal;
}

type Listener = (fingerprint: string) => void;

interface Watched {
  readonly listeners: Set<Listener>;
  last: string | undefined;
}

export class InboxWatch {
  readonly #options: InboxWatchOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: InboxWatchOptions) {
    this.#options = options;
  }

  /**
   * Tells how the list stands now, and whenever it has changed.
   *
   * @returns to be called when nobody listens any more
   */
  listen(tenant: string, listener: Listener): () => void {
    const watched = this.#watched.get(tenant) ?? { listeners: new Set(), last: undefined };
    watched.listeners.add(listener);
    if (watched.last !== undefined) listener(watched.last);
    if (!this.#watched.has(tenant)) {
      this.#watched.set(tenant, watched);
      void this.#look(tenant, watched);
    }
    return () => {
      watched.listeners.delete(listener);
      if (watched.listeners.size === 0 && this.#watched.get(tenant) === watched) this.#watched.delete(tenant);
    };
  }

  /** Until the last listener is gone. */
  async #look(tenant: string, watched: Watched): Promise<void> {
    const { fingerprint, logger, closing } = this.#options;
    while (!closing.aborted && this.#watched.get(tenant) === watched) {
      try {
        const now = await fingerprint(tenant);
        if (now !== watched.last) {
          watched.last = now;
          for (const tell of watched.listeners) tell(now);
        }
      } catch (error) {
        // It is looked at again: a ledger that is away for a moment must not end anybody's stream.
        logger.warn({ err: error }, 'the inbox cannot be watched at this moment');
      }
      await delay(EVERY_MS, undefined, { signal: closing, ref: false }).catch(() => {});
    }
  }
}
