/** Watches the system of one tool: takes the lease, reads what was written, judges it, records it, and only then lets the system forget it. */
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { asCountersignError, type CountersignError } from '../action/errors.js';
import { workflowNameOf } from '../action/idempotency-key.js';
import type { RadarAlert, RadarAlertRequest } from '../action/radar.js';
import type { EffectStanding, Ledger } from '../ledger/index.js';
import { alertOf, putTogether, unexplained } from './judge.js';
import type { Observed, ObservedWrite, RadarReader, RadarSource } from './source.js';

export interface RadarOptions {
  /** The name of the tool. */
  readonly name: string;
  readonly source: RadarSource;
  /** The tools whose effects may be in this kind of system. */
  readonly tools: ReadonlySet<string>;
  readonly ledger: Pick<Ledger, 'radar'>;
  readonly logger: Logger;
  /** A worker that died leaves its source to another after this. Milliseconds, default 5,000. */
  readonly leaseMs?: number;
  /** Called with what was recorded for the first time. */
  readonly found: (alerts: readonly RadarAlert[]) => void;
  /** Called after each round while this worker reads. */
  readonly tell: () => void;
}

const LEASE_MS = 5_000;
/** The longest pause after a failure. Milliseconds. */
const LONGEST_PAUSE_MS = 30_000;
/** Reading may take this part of the time and no more, whatever it costs. */
const DUTY = 0.1;
/** Alerts that are recorded one by one within a while; the others of a read are put together. */
const MOST_ONE_BY_ONE = 500;
const WHILE_MS = 60_000;
/** How often old claims are forgotten. Milliseconds. */
const FORGET_EVERY_MS = 60 * 60_000;

export class Radar {
  readonly #options: RadarOptions;
  readonly #reader = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #stopping = new AbortController();
  #open: RadarReader | undefined;
  #state: { lagBytes?: number; watched?: readonly string[]; unseen?: readonly string[] } = {};
  #problem: CountersignError | undefined;
  #hasLooked = false;
  #failures = 0;
  #forgotAt = -Infinity;
  #oneByOne = { since: -Infinity, count: 0 };
  #renewal: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RadarOptions) {
    this.#options = options;
  }

  start(): void {
    const { leaseMs = LEASE_MS } = this.#options;
    // A round, and the pause after it, may take longer than a lease.
    this.#renewal = setInterval(() => {
      if (this.#open !== undefined) void this.#lease().catch(() => {});
    }, leaseMs / 3);
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
    const { everyMs } = this.#options.source;
    const calm = Math.max(everyMs, Math.min(tookMs * (1 / DUTY - 1), LONGEST_PAUSE_MS));
    return this.#failures === 0 ? calm : Math.min(calm * 2 ** Math.min(this.#failures, 10), LONGEST_PAUSE_MS, LEASE_MS);
  }

  /** @returns whether there is more to read at once */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { name, ledger, logger, tell } = this.#options;
    try {
      const reader = await this.#reading();
      if (reader === undefined) return false;
      const observed = await reader.read(signal);
      const { watched, unseen, lagBytes } = observed;
      this.#state = { watched, unseen, ...(lagBytes === undefined ? {} : { lagBytes }) };
      const judged = await this.#judge(observed);
      const { system, position, memory } = observed;
      const recorded = await ledger.radar.record(name, { system, position, memory, alerts: judged });
      this.#report(recorded);
      await reader.confirm(observed, signal);
      this.#failures = 0;
      if (this.#problem !== undefined) logger.info({ tool: name }, 'the radar looks again');
      this.#problem = undefined;
      this.#hasLooked = true;
      tell();
      await this.#forget();
      return observed.more;
    } catch (thrown) {
      if (!signal.aborted) await this.#failed(asCountersignError(thrown), signal);
      return false;
    }
  }

  /** The open reader, while this worker has the lease. */
  async #reading(): Promise<RadarReader | undefined> {
    const lease = await this.#lease();
    if (lease === undefined) {
      await this.#close();
      return undefined;
    }
    this.#open ??= this.#options.source.open(lease.memory);
    return this.#open;
  }

  #lease(): ReturnType<Ledger['radar']['lease']> {
    const { name, source, ledger, leaseMs = LEASE_MS } = this.#options;
    return ledger.radar.lease({
      source: name,
      kind: source.kind,
      reader: this.#reader,
      leaseMs,
      state: this.#problem !== undefined ? 'off' : this.#hasLooked ? 'watching' : undefined,
      problem: this.#problem === undefined ? undefined : `${this.#problem.message} ${this.#problem.fix ?? ''}`.trim(),
      ...this.#state,
    });
  }

  async #judge(observed: Observed): Promise<readonly RadarAlertRequest[]> {
    const { name, source, tools, ledger } = this.#options;
    const { system, gaps } = observed;
    const { writes, standings } = await this.#known(observed.writes);
    const claims = (source.oneWritePerKey ? writes : []).flatMap(({ keys, position }) =>
      keys.filter((key) => standings.has(key)).map((key) => ({ key, position })),
    );
    const usedTwice = await ledger.radar.claim(name, system, claims);
    const { writers } = source;
    const alerts = writes.flatMap((write) => {
      const found = unexplained(write, { standings, usedTwice, tools, writers });
      return found === undefined ? [] : [alertOf(write, found)];
    });
    const blind = gaps.map(({ position, at, detail }): RadarAlertRequest => {
      return { kind: 'gap', position, at: at.toISOString(), reason: 'gap', detail, changes: [], writers: [] };
    });
    return [...blind, ...this.#bounded(alerts)];
  }

  /** In a while, so many alerts are recorded one by one. */
  #bounded(alerts: readonly RadarAlertRequest[]): readonly RadarAlertRequest[] {
    if (this.#options.source.repeats) return alerts;
    const now = performance.now();
    if (now - this.#oneByOne.since > WHILE_MS) this.#oneByOne = { since: now, count: 0 };
    const bounded = putTogether(alerts, Math.max(0, MOST_ONE_BY_ONE - this.#oneByOne.count));
    this.#oneByOne.count += bounded.length;
    return bounded;
  }

  /** The writes with keys in our form, and what the ledger has of these. */
  async #known(
    writes: readonly ObservedWrite[],
  ): Promise<{ writes: readonly ObservedWrite[]; standings: ReadonlyMap<string, EffectStanding> }> {
    const { name, source, ledger } = this.#options;
    const { formatKey } = source;
    let named = writes;
    if (formatKey !== undefined && writes.length > 0) {
      const since = Math.min(...writes.map(({ at }) => at.getTime()));
      const keys = await ledger.radar.keysOf(name, new Date(since));
      const ours = new Map(keys.map((key) => [formatKey(key), key]));
      named = writes.map((write) => ({ ...write, keys: write.keys.map((key) => ours.get(key) ?? key) }));
    }
    const names = [...new Set(named.flatMap(({ keys }) => keys))].flatMap((key) => {
      const action = workflowNameOf(key);
      return action === undefined ? [] : [{ key, ...action }];
    });
    const standings = await ledger.radar.standings(names);
    return { writes: named, standings: new Map(standings.map((standing) => [standing.key, standing])) };
  }

  #report(alerts: readonly RadarAlert[]): void {
    if (alerts.length === 0) return;
    const { name, logger, found } = this.#options;
    for (const { id, detail, writers, kind } of alerts.slice(0, 20)) {
      logger.error(
        { alarm: kind === 'gap' ? 'radar_gap' : 'unexplained_write', tool: name, alert: id, writers, detail },
        kind === 'gap' ? 'the radar did not see what was written' : 'a write went past Countersign',
      );
    }
    found(alerts);
  }

  async #forget(): Promise<void> {
    const now = performance.now();
    if (now - this.#forgotAt < FORGET_EVERY_MS) return;
    this.#forgotAt = now;
    await this.#options.ledger.radar.forgetClaims(this.#options.name);
  }

  /** What is held back for the radar stays within its bound also while nothing can be recorded. */
  async #failed(problem: CountersignError, signal: AbortSignal): Promise<void> {
    const { name, logger } = this.#options;
    this.#failures++;
    if (this.#problem?.message !== problem.message)
      logger.error({ alarm: 'radar_off', tool: name, ...problem.toJSON() }, 'the radar does not look');
    this.#problem = problem;
    // Where actions must be watched, they stop at once.
    await this.#lease().catch(() => {});
    await this.#open?.guard(signal).catch(() => {});
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close().catch(() => {});
  }
}
