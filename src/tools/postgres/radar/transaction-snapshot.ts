/** Which transactions a statement saw, as Postgres says it in `pg_current_snapshot()`: `xmin:xmax:xip,xip`, in numbers that never come again. */

/** The log numbers transactions by their last 32 bits. */
const CYCLE = 2n ** 32n;

export class TransactionSnapshot {
  readonly #next: bigint;
  readonly #running: ReadonlySet<bigint>;

  constructor(text: string) {
    const [, next = '0', running = ''] = text.split(':');
    this.#next = BigInt(next);
    this.#running = new Set(running.split(',').filter(Boolean).map(BigInt));
  }

  /** `xid`: of a transaction that was committed, as the log numbers it. */
  sees(xid: string): boolean {
    const distance = BigInt.asIntN(32, BigInt(xid) - (this.#next % CYCLE));
    const full = this.#next + distance;
    return distance < 0n && !this.#running.has(full);
  }
}
