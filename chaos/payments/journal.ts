/** The payment service's own record of what it really did: one JSON text a line, on disk before anybody is answered. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

export const COLLECTIONS = ['payments', 'refunds', 'payouts'] as const;
export type Collection = (typeof COLLECTIONS)[number];

/** What a client orders. */
export interface Order {
  readonly account: string;
  readonly amount: number;
  /** The client's own name for it. */
  readonly reference: string;
}

/** Money moved. */
export interface Booking extends Order {
  readonly kind: 'booking';
  readonly collection: Collection;
  readonly id: string;
  /** The Idempotency-Key it came with; absent without one. */
  readonly key?: string;
  /** When the request came in, and when it was carried out. RFC 3339 UTC. */
  readonly receivedAt: string;
  readonly at: string;
}

/** An order came in. A proxy that repeats it repeats none of these. */
export interface Received {
  readonly kind: 'received';
  readonly collection: Collection;
  readonly reference: string;
  readonly at: string;
}

/** A key that was looked up in vain: no request with it is carried out any more. */
export interface VoidedKey {
  readonly kind: 'void';
  readonly collection: Collection;
  readonly key: string;
  readonly at: string;
}

/** The service, or the network before it, misbehaved. */
export interface Misdeed {
  readonly kind: 'mischief';
  readonly what: string;
  readonly request: string;
  readonly at: string;
}

export type Entry = Received | Booking | VoidedKey | Misdeed;

export class Journal {
  readonly #file: number;

  private constructor(file: number) {
    this.#file = file;
  }

  /** Goes on where an earlier process stopped. */
  static async open(path: string): Promise<{ journal: Journal; entries: readonly Entry[] }> {
    const entries = await readJournal(path);
    const file = openSync(path, 'a');
    // An earlier process may have been killed in the middle of a line.
    writeSync(file, '\n');
    return { journal: new Journal(file), entries };
  }

  /** Returns when it is on disk. In one go: no other request is handled meanwhile. */
  append(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Everything in the journal, in order. A line that a kill cut short was never answered, and is left out. */
export async function readJournal(path: string): Promise<readonly Entry[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Entry];
    } catch {
      return [];
    }
  });
}
