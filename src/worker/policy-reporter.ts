/** Tells the ledger which policy this worker runs, so that people see when all workers agree; and how far its clock is off. */
import type { Logger } from 'pino';
import { asCountersignError } from '../action/errors.js';
import { withoutUndefined, type Digest } from '../action/json.js';
import type { LedgerClock, Rollout, WorkerReport } from '../ledger/index.js';
import { CLOCK_OFF_MS, REPORT_EVERY_SECONDS } from '../ledger/index.js';

interface Reported {
  readonly rollout: Pick<Rollout, 'report' | 'forget'>;
  readonly clock: Pick<LedgerClock, 'look' | 'aheadMs'>;
}

interface Running {
  readonly active?: Digest | undefined;
  readonly shadow?: Digest | undefined;
  readonly problem?: string | undefined;
  readonly latest?: WorkerReport['latest'];
}

/** How often it is looked whether something changed; the ledger is told only then, and every few seconds. Milliseconds. */
const LOOK_EVERY_MS = 200;

export class PolicyReporter {
  readonly #rollout: Pick<Rollout, 'report' | 'forget'>;
  readonly #who: Pick<WorkerReport, 'worker' | 'taskQueue' | 'source'>;
  readonly #clock: Pick<LedgerClock, 'look' | 'aheadMs'>;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> = Promise.resolve();
  #told = '';
  /** By the process's own clock, which nobody sets. */
  #toldAt = -Infinity;
  #closed = false;
  #warned = false;

  constructor(
    { rollout, clock }: Reported,
    who: Pick<WorkerReport, 'worker' | 'taskQueue' | 'source'>,
    logger: Logger,
  ) {
    this.#rollout = rollout;
    this.#clock = clock;
    this.#who = who;
    this.#logger = logger;
  }

  watch(running: () => Running): void {
    const look = (): void => {
      this.#telling = this.#tell(running()).finally(() => {
        if (this.#closed) return;
        this.#timer = setTimeout(look, LOOK_EVERY_MS);
        this.#timer.unref();
      });
    };
    look();
  }

  /** The worker is no more: nobody waits for it. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#telling;
    await this.#rollout.forget(this.#who.worker).catch(() => {});
  }

  /** Once, until it is right again. */
  #warn(aheadMs = 0): void {
    const off = Math.abs(aheadMs) > CLOCK_OFF_MS;
    if (off && !this.#warned) {
      const message = "this machine's clock is not the ledger's, by which everything is judged: set it right";
      this.#logger.warn({ alarm: 'clock_off', aheadMs }, message);
    }
    this.#warned = off;
  }

  async #tell(running: Running): Promise<void> {
    const report = withoutUndefined({ ...this.#who, ...running }) as WorkerReport;
    const text = JSON.stringify(report);
    const now = performance.now();
    if (text === this.#told && now - this.#toldAt < REPORT_EVERY_SECONDS * 1000) return;
    try {
      await this.#clock.look();
      const { aheadMs } = this.#clock;
      this.#warn(aheadMs);
      await this.#rollout.report({ ...report, ...(aheadMs === undefined ? {} : { clockAheadMs: aheadMs }) });
      this.#told = text;
      this.#toldAt = now;
    } catch (error) {
      // What it runs does not depend on it; it is told again with the next look.
      this.#logger.debug({ err: asCountersignError(error) }, 'the policy that runs was not reported');
    }
  }
}
