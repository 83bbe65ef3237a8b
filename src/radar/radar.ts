/** Watches the system of one tool: takes the lease, reads what was written, judges it, records it, and only then lets the system forget it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { asCountersignError, type CountersignError } from '../action/errors.js';
import type { RadarAlert } from '../action/radar.js';
import { workerName, type Ledger } from '../ledger/index.js';
import { RadarJudge, type RadarJudgeOptions } from './radar-judge.js';
import type { RadarReader } from './source.js';

export interface RadarOptions extends RadarJudgeOptions {
  readonly ledger: Pick<Ledger, 'radar' | 'radarEffects'>;
  readonly logger: Logger;
  /** A worker that died leaves its source to another after this. Milliseconds, default 5,000. */
  readonly leaseMs?: number;
  /** Which part of the time reading may take, whatever it costs. Above 0, at most 1, default 0.1. */
  readonly duty?: number;
  /** Called with what was recorded for the first time. */
  readonly found: (alerts: readonly RadarAlert[]) => void;
  /** Called after each round while this worker reads. */
  readonly tell: () => void;
}

const LEASE_MS = 5_000;
/** The longest pause after a failure. Milliseconds. */
const LONGEST_PAUSE_MS = 30_000;
const DUTY = 0.1;
/** How often old claims are forgotten. Milliseconds. */
const FORGET_EVERY_MS = 60 * 60_000;

const ALARMS: Readonly<Record<RadarAlert['kind'], { readonly name: string; readonly message: string }>> = {
  write: { name: 'unexplained_write', message: 'a write went past Countersign' },
  definition: { name: 'definition_changed', message: 'what the radar watches was changed, or what it sees by' },
  gap: { name: 'radar_gap', message: 'the radar did not see what was written' },
};

/** What it remembers is good for the term in which it was opened. */
interface OpenReader {
  readonly term: number;
  readonly reader: RadarReader;
}

export class Radar {
  readonly #options: RadarOptions;
  readonly #judge: RadarJudge;
  readonly #reader = `${workerName()}/${randomUUID().slice(0, 8)}`;
  readonly #stopping = new AbortController();
  #open: OpenReader | undefined;
  /** It cannot look, and has left the source to a worker that can. */
  #isAside = false;
  #state: { lagBytes?: number; watched?: readonly string[]; unseen?: readonly string[] } = {};
  #problem: CountersignError | undefined;
  #hasLooked = false;
  #failures = 0;
  #forgotAt = -Infinity;
  #renewal: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RadarOptions) {
    this.#options = options;
    this.#judge = new RadarJudge(options);
  }

  start(): void {
    const { leaseMs = LEASE_MS } = this.#options;
    // A round, and the pause after it, may take longer than a lease.
    this.#renewal = setInterval(() => this.#renew(), leaseMs / 3);
    this.#running = this.#run();
  }

  /** Leaves the source to another worker. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const start = performance.now();
      const more = await this.#round(signal);
      if (signal.aborted) break;
      // Closing cuts it short.
      if (!more) await delay(this.#pauseMs(performance.now() - start), undefined, { signal }).catch(() => {});
    }
    clearInterval(this.#renewal);
    await this.#close();
    await this.#options.ledger.radar.release(this.#options.name, this.#reader).catch(() => {});
  }

  #pauseMs(tookMs: number): number {
    const { source, duty = DUTY, leaseMs = LEASE_MS } = this.#options;
    // While another worker reads: whoever leaves the source is followed soon, however seldom it is read.
    const followMs = Math.min(source.everyMs, leaseMs);
    const calm = Math.max(source.everyMs, Math.min(tookMs * (1 / duty - 1), LONGEST_PAUSE_MS));
    if (this.#failures === 0) return this.#open === undefined ? followMs : calm;
    const again = Math.min(calm * 2 ** Math.min(this.#failures, 10), LONGEST_PAUSE_MS, LEASE_MS);
    // So that every other worker has tried to take it first.
    return this.#isAside ? Math.max(again, 2 * followMs) : again;
  }

  /** @returns whether there is more to read at once */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { name, ledger, tell } = this.#options;
    try {
      const open = await this.#reading();
      if (open === undefined) return false;
      const { reader, term } = open;
      const observed = await reader.read(signal);
      const { watched, unseen, lagBytes } = observed;
      this.#state = { watched, unseen, ...(lagBytes === undefined ? {} : { lagBytes }) };
      const judged = await this.#judge.judge(observed);
      const { system, position, memory, catalog } = observed;
      const found = { reader: this.#reader, term, system, position, memory, catalog, alerts: judged };
      const recorded = await ledger.radar.record(name, found);
      if (recorded === undefined) {
        // Another worker goes on from what was recorded last.
        await this.#close();
        return false;
      }
      this.#report(recorded);
      await reader.confirm(observed, signal);
      tell();
      if (observed.incomplete !== undefined) throw observed.incomplete;
      await this.#looks(term);
      await this.#forget();
      return observed.more;
    } catch (thrown) {
      if (!signal.aborted) await this.#failed(asCountersignError(thrown), signal);
      return false;
    }
  }

  /** The open reader, while this worker has the lease. */
  async #reading(): Promise<OpenReader | undefined> {
    this.#isAside = false;
    const lease = await this.#lease();
    // What is remembered here may be over where another one read meanwhile.
    if (lease?.term !== this.#open?.term) await this.#close();
    if (lease === undefined) return undefined;
    this.#open ??= { term: lease.term, reader: this.#options.source.open(lease) };
    return this.#open;
  }

  #lease(): ReturnType<Ledger['radar']['lease']> {
    return this.#options.ledger.radar.lease({ ...this.#said(), kind: this.#options.source.kind });
  }

  /** Keeps the source, and says nothing of it: it may come after what a round says. */
  #renew(): void {
    if (this.#open === undefined || this.#isAside) return;
    const { name, ledger, leaseMs = LEASE_MS } = this.#options;
    void ledger.radar
      .renew({ source: name, reader: this.#reader, term: this.#open.term, leaseMs })
      // The next one, or the next round, tries again.
      .catch(() => {});
  }

  /** Says at once that it looks, where it did not: actions that must be watched wait for that. */
  async #looks(term: number): Promise<void> {
    const { name, ledger, logger } = this.#options;
    const isNew = !this.#hasLooked || this.#problem !== undefined;
    if (this.#problem !== undefined) logger.info({ tool: name }, 'the radar looks again');
    this.#failures = 0;
    this.#problem = undefined;
    this.#hasLooked = true;
    if (isNew) await ledger.radar.renew({ ...this.#said(), term });
  }

  /** How the source stands, as this reader last saw it. */
  #said(): Omit<Parameters<Ledger['radar']['lease']>[0], 'kind'> {
    const { name, leaseMs = LEASE_MS } = this.#options;
    return {
      source: name,
      reader: this.#reader,
      leaseMs,
      state: this.#problem !== undefined ? 'off' : this.#hasLooked ? 'watching' : undefined,
      problem: this.#problem === undefined ? undefined : `${this.#problem.message} ${this.#problem.fix ?? ''}`.trim(),
      ...this.#state,
    };
  }

  #report(alerts: readonly RadarAlert[]): void {
    if (alerts.length === 0) return;
    const { name, logger, found } = this.#options;
    for (const { id, detail, writers, kind } of alerts.slice(0, 20)) {
      logger.error({ alarm: ALARMS[kind].name, tool: name, alert: id, writers, detail }, ALARMS[kind].message);
    }
    found(alerts);
  }

  async #forget(): Promise<void> {
    const now = performance.now();
    if (now - this.#forgotAt < FORGET_EVERY_MS) return;
    this.#forgotAt = now;
    await this.#options.ledger.radarEffects.forgetClaims(this.#options.name);
  }

  /** What is held back for the radar stays within its bound also while nothing can be recorded. Another worker may be able to look. */
  async #failed(problem: CountersignError, signal: AbortSignal): Promise<void> {
    const { name, logger } = this.#options;
    this.#failures++;
    if (this.#problem?.message !== problem.message)
      logger.error({ alarm: 'radar_off', tool: name, ...problem.toJSON() }, 'the radar does not look');
    this.#problem = problem;
    // Where actions must be watched, they stop at once.
    await this.#lease().catch(() => {});
    await this.#open?.reader.guard(signal).catch(() => {});
    if (problem.code === 'LEDGER_UNAVAILABLE') return;
    this.#isAside = true;
    await this.#options.ledger.radar.release(name, this.#reader).catch(() => {});
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    this.#hasLooked = false;
    await open?.reader.close().catch(() => {});
  }
}
