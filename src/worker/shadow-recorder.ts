/** Compares the policy in shadow with the live decisions, one after another when nothing else is to be done, and adds up what differs. */
import type { Logger } from 'pino';
import type { Divergences, ShadowLimitReader, ShadowPair, ShadowResult } from '../../activities/deps.js';
import { asCountersignError } from '../action/errors.js';
import { divergenceKey, type CountedDivergence, type Rollout, type ShadowBatch } from '../ledger/index.js';

/** More comparisons than this never wait: what comes then is counted as dropped. */
const MOST_WAITING = 500;
/** How often the ledger is told. What a killed worker had not told yet is not counted. Milliseconds. */
const TELL_EVERY_MS = 1_000;
const EXAMPLES = 5;
/** Kinds of divergence that are added up between two tellings. */
const MOST_KINDS = 1000;

type Sums = { -readonly [K in keyof Omit<ShadowBatch, 'divergences' | keyof ShadowPair>]: number };
type Counted = { -readonly [K in keyof CountedDivergence]: CountedDivergence[K] };

interface Tally extends ShadowPair {
  readonly sums: Sums;
  readonly divergences: Map<string, Counted>;
}

interface Waiting {
  readonly pair: ShadowPair;
  readonly compare: () => Promise<ShadowResult | undefined>;
}

export class ShadowRecorder implements Divergences {
  readonly limits: ShadowLimitReader;
  readonly #rollout: Pick<Rollout, 'noteShadow'>;
  readonly #logger: Logger;
  readonly #waiting: Waiting[] = [];
  #tallies = new Map<string, Tally>();
  #working: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(rollout: Pick<Rollout, 'noteShadow'>, limits: ShadowLimitReader, logger: Logger) {
    this.limits = limits;
    this.#rollout = rollout;
    this.#logger = logger;
  }

  later(pair: ShadowPair, compare: Waiting['compare']): boolean {
    if (this.#closed) return false;
    this.#plan();
    if (this.#waiting.length >= MOST_WAITING) {
      this.#tallyOf(pair).sums.dropped++;
      return false;
    }
    this.#waiting.push({ pair, compare });
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.length = 0;
    clearTimeout(this.#timer);
    await this.#working;
    await this.#tell();
  }

  async #work(): Promise<void> {
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) {
      const start = performance.now();
      const result = await next.compare().catch((error: unknown) => {
        this.#logger.error({ err: asCountersignError(error) }, 'a comparison in shadow failed');
        return undefined;
      });
      this.#count(next.pair, result, performance.now() - start);
    }
  }

  /** Whatever has happened meanwhile comes first: the live decision is on its way before the comparison begins. */
  async #next(): Promise<Waiting | undefined> {
    if (this.#waiting.length === 0) return undefined;
    await new Promise((resolve) => setImmediate(resolve));
    return this.#waiting.shift();
  }

  #count(pair: ShadowPair, result: ShadowResult | undefined, tookMs: number): void {
    const { sums, divergences } = this.#tallyOf(pair);
    sums.evaluated++;
    sums.totalMs += tookMs;
    sums.maxMs = Math.max(sums.maxMs, tookMs);
    if (result === undefined) return;
    sums.diverged++;
    if (result.kind === 'error') sums.errors++;
    const { actionId, live, shadow, ...who } = result;
    const sides = {
      live: { effect: live.effect, rules: live.rules },
      shadow: { effect: shadow.effect, rules: shadow.rules },
    };
    const key = divergenceKey({ ...who, ...sides });
    const known: Counted = divergences.get(key) ?? { ...who, ...sides, count: 0, examples: [] };
    if (known.count === 0 && divergences.size >= MOST_KINDS) return;
    known.count++;
    const example = { actionId, liveReason: live.reason, shadowReason: shadow.reason };
    if (known.examples.length < EXAMPLES) known.examples = [...known.examples, example];
    divergences.set(key, known);
  }

  #tallyOf(pair: ShadowPair): Tally {
    const key = `${pair.candidate} ${pair.baseline}`;
    const tally = this.#tallies.get(key) ?? { ...pair, sums: noSums(), divergences: new Map<string, Counted>() };
    this.#tallies.set(key, tally);
    return tally;
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#tell().finally(() => {
        this.#timer = undefined;
        if (this.#tallies.size > 0 || this.#waiting.length > 0) this.#plan();
      });
    }, TELL_EVERY_MS);
    this.#timer.unref();
  }

  /** While the ledger does not answer, what was counted is kept and told later. */
  async #tell(): Promise<void> {
    const tallies = this.#tallies;
    this.#tallies = new Map();
    for (const tally of tallies.values()) {
      const { candidate, baseline, sums, divergences } = tally;
      try {
        await this.#rollout.noteShadow({ candidate, baseline, ...sums, divergences: [...divergences.values()] });
      } catch (error) {
        this.#logger.warn({ err: asCountersignError(error) }, 'divergences in shadow were not recorded yet');
        this.#keep(tally);
      }
    }
  }

  #keep({ candidate, baseline, sums, divergences }: Tally): void {
    const since = this.#tallyOf({ candidate, baseline });
    since.sums.maxMs = Math.max(since.sums.maxMs, sums.maxMs);
    for (const name of ['evaluated', 'diverged', 'errors', 'dropped', 'totalMs'] as const)
      since.sums[name] += sums[name];
    for (const [key, counted] of divergences) {
      const known = since.divergences.get(key);
      if (known === undefined) since.divergences.set(key, counted);
      else known.count += counted.count;
    }
  }
}

function noSums(): Sums {
  return { evaluated: 0, diverged: 0, errors: 0, dropped: 0, totalMs: 0, maxMs: 0 };
}
