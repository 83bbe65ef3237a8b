/** Judges what was read of a source, by what the ledger knows of the actions that it names: what of it becomes an alert. */
import { workflowNameOf } from '../action/idempotency-key.js';
import type { RadarAlertRequest } from '../action/radar.js';
import type { EffectStanding, Ledger } from '../ledger/index.js';
import { alertOf, definitionAlertOf, putTogether, unexplained } from './judge.js';
import type { Observed, ObservedWrite, RadarSource } from './source.js';

export interface RadarJudgeOptions {
  /** The name of the tool. */
  readonly name: string;
  readonly source: RadarSource;
  /** The tools whose effects may be in this kind of system. */
  readonly tools: ReadonlySet<string>;
  readonly ledger: Pick<Ledger, 'radarEffects'>;
}

/** Alerts that are recorded one by one within a while; the others of a read are put together. */
const MOST_ONE_BY_ONE = 500;
const WHILE_MS = 60_000;

export class RadarJudge {
  readonly #options: RadarJudgeOptions;
  #oneByOne = { since: -Infinity, count: 0 };

  constructor(options: RadarJudgeOptions) {
    this.#options = options;
  }

  async judge(observed: Observed): Promise<readonly RadarAlertRequest[]> {
    const { name, source, tools, ledger } = this.#options;
    const { system, gaps } = observed;
    const { writes, standings } = await this.#known(observed.writes);
    const claims = (source.oneWritePerKey ? writes : []).flatMap(({ keys, position }) =>
      keys.filter((key) => standings.has(key)).map((key) => ({ key, position })),
    );
    const usedTwice = await ledger.radarEffects.claim(name, system, claims);
    const { writers } = source;
    const alerts = writes.flatMap((write) => {
      const found = unexplained(write, { standings, usedTwice, tools, writers });
      return found === undefined ? [] : [alertOf(write, found)];
    });
    const blind = gaps.map(({ position, at, detail }): RadarAlertRequest => {
      return { kind: 'gap', position, at: at.toISOString(), reason: 'gap', detail, changes: [], writers: [] };
    });
    const defined = observed.definitions.flatMap((one) => definitionAlertOf(one, writers) ?? []);
    return [...blind, ...this.#bounded(defined), ...this.#bounded(alerts)];
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
      const keys = await ledger.radarEffects.keysOf(name, new Date(since));
      const ours = new Map(keys.map((key) => [formatKey(key), key]));
      named = writes.map((write) => ({ ...write, keys: write.keys.map((key) => ours.get(key) ?? key) }));
    }
    const names = [...new Set(named.flatMap(({ keys }) => keys))].flatMap((key) => {
      const action = workflowNameOf(key);
      return action === undefined ? [] : [{ key, ...action }];
    });
    const standings = await ledger.radarEffects.standings(names);
    return { writes: named, standings: new Map(standings.map((standing) => [standing.key, standing])) };
  }
}
