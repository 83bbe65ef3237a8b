/** What the payment service does when it behaves. Three kinds of orders, with three promises about repeated keys. */
import { randomUUID } from 'node:crypto';
import type { Booking, Collection, Entry, Journal, Order } from './journal.js';

/**
 * - `once`: the same key is one booking, however often it comes;
 * - `voidable`: every request is a booking, but a key that was looked up in vain is refused from then on;
 * - `blind`: keys mean nothing.
 */
const PROMISES: Readonly<Record<Collection, 'once' | 'voidable' | 'blind'>> = {
  payments: 'once',
  refunds: 'voidable',
  payouts: 'blind',
};

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Bank {
  readonly #journal: Journal;
  readonly #bookings: Booking[] = [];
  readonly #voided = new Set<string>();

  constructor(journal: Journal, entries: readonly Entry[]) {
    this.#journal = journal;
    for (const entry of entries) this.#remember(entry);
  }

  order(collection: Collection, order: Order, key: string | undefined, receivedAt: Date): Answer {
    if (key !== undefined && this.#voided.has(`${collection}/${key}`)) {
      return { status: 409, body: { error: 'this key was looked up in vain and is void' } };
    }
    const before =
      PROMISES[collection] === 'once' && key !== undefined
        ? this.#bookings.find((booking) => booking.collection === collection && booking.key === key)
        : undefined;
    if (before !== undefined) {
      const same = before.amount === order.amount && before.account === order.account;
      return same
        ? { status: 201, body: shown(before) }
        : { status: 422, body: { error: 'this key was used for another order' } };
    }
    const booking: Booking = {
      kind: 'booking',
      collection,
      id: randomUUID(),
      ...order,
      ...(key === undefined ? {} : { key }),
      receivedAt: receivedAt.toISOString(),
      at: new Date().toISOString(),
    };
    this.#write(booking);
    return { status: 201, body: shown(booking) };
  }

  /** What was booked by then. */
  find(collection: Collection, by: { reference: string } | { id: string }, until = new Date()): readonly object[] {
    return this.#bookings
      .filter((booking) => booking.collection === collection && Date.parse(booking.at) <= until.getTime())
      .filter((booking) => ('id' in by ? booking.id === by.id : booking.reference === by.reference))
      .map(shown);
  }

  /** Of a voidable collection, looking in vain makes the absence final. */
  lookUp(collection: Collection, key: string): readonly object[] {
    const found = this.#bookings.filter((booking) => booking.collection === collection && booking.key === key);
    if (found.length === 0 && PROMISES[collection] === 'voidable' && !this.#voided.has(`${collection}/${key}`)) {
      this.#write({ kind: 'void', collection, key, at: new Date().toISOString() });
    }
    return found.map(shown);
  }

  received(collection: Collection, reference: string): void {
    this.#write({ kind: 'received', collection, reference, at: new Date().toISOString() });
  }

  misbehaved(what: string, request: string): void {
    this.#write({ kind: 'mischief', what, request, at: new Date().toISOString() });
  }

  #write(entry: Entry): void {
    this.#journal.append(entry);
    this.#remember(entry);
  }

  #remember(entry: Entry): void {
    if (entry.kind === 'booking') this.#bookings.push(entry);
    if (entry.kind === 'void') this.#voided.add(`${entry.collection}/${entry.key}`);
  }
}

function shown({ id, account, amount, reference }: Booking): object {
  return { id, account, amount, reference };
}
