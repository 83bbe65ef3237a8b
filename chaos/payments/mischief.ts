/** How the network in front of the payment service, and the service itself, misbehave: decided by the seed and the request alone. */
import { Chance } from '../chance.js';
import type { Collection } from './journal.js';

/**
 * To an order:
 * - `lost-request`: the connection breaks and nothing was done;
 * - `lost-reply`: done, and the connection breaks;
 * - `late-request`: the connection breaks, and the order is carried out a while later;
 * - `slow-reply`: done, and answered late, perhaps too late;
 * - `delivered-twice`: carried out twice by a proxy that repeats (only where the service promises that this is one booking);
 * - `lie-not-done`: answered "201" and nothing was done;
 * - `lie-failed`: done, and answered "500";
 * - `busy`: answered "503, Retry-After", truthfully nothing was done.
 */
export type OrderMischief =
  | 'lost-request'
  | 'lost-reply'
  | 'late-request'
  | 'slow-reply'
  | 'delivered-twice'
  | 'lie-not-done'
  | 'lie-failed'
  | 'busy';

/** To a question: no answer, a late one, or one from before. Looking a key up is never stale: the service promises that. */
export type ReadMischief = 'lost-read' | 'slow-read' | 'stale-read';

export interface MischiefOptions {
  readonly seed: string;
  /** Share of orders that something happens to, 0 to 1. */
  readonly orders: number;
  /** Share of questions that something happens to, 0 to 1. */
  readonly reads: number;
  /** Only this happens to orders. Default: everything. */
  readonly only?: OrderMischief;
}

export interface Trouble<What> {
  readonly what: What;
  /** How late, or how stale, milliseconds. */
  readonly ms: number;
}

/** Longest that a late order waits, milliseconds. After it nothing that was sent is still on its way. */
export const LATEST_MS = 1_500;

export class Mischief {
  readonly #options: MischiefOptions;
  readonly #seen = new Map<string, number>();
  #calm = false;

  constructor(options: MischiefOptions) {
    this.#options = options;
  }

  /** From now on everything works. */
  calm(): void {
    this.#calm = true;
  }

  order(collection: Collection, reference: string): Trouble<OrderMischief> | undefined {
    const chance = this.#chance(`order ${collection} ${reference}`);
    if (this.#calm || !chance.happens(this.#options.orders)) return undefined;
    const what =
      this.#options.only ??
      chance.weighted({
        'lost-request': 2,
        'lost-reply': 3,
        'late-request': 2,
        'slow-reply': 2,
        'delivered-twice': collection === 'payments' ? 2 : 0,
        'lie-not-done': 2,
        'lie-failed': 2,
        busy: 1,
      });
    return { what, ms: chance.int(100, LATEST_MS) };
  }

  read(request: string, mayBeStale: boolean): Trouble<ReadMischief> | undefined {
    const chance = this.#chance(`read ${request}`);
    if (this.#calm || !chance.happens(this.#options.reads)) return undefined;
    const what = chance.weighted({ 'lost-read': 1, 'slow-read': 2, 'stale-read': mayBeStale ? 2 : 0 });
    return { what, ms: chance.int(50, 1_000) };
  }

  /** The next time that the same request comes, something else happens to it. */
  #chance(request: string): Chance {
    const times = (this.#seen.get(request) ?? 0) + 1;
    this.#seen.set(request, times);
    return new Chance(this.#options.seed).of(`${request} ${times}`);
  }
}
