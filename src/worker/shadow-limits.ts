/** Reads the limits of a policy in shadow: those that the active policy counts alike from their counters, the others from what the ledger recorded. */
import { setImmediate as turn } from 'node:timers/promises';
import type { ShadowLimitReader } from '../../activities/deps.js';
import type { DecisionRecord } from '../action/decision-record.js';
import type { LimitDemand, LimitReading } from '../action/limits.js';
import { recordOf } from '../decisions/from-ledger.js';
import type { Ledger } from '../ledger/index.js';
import type { Policy } from '../policy/index.js';
import { ownLimits } from '../policy/shadow/own-limits.js';
import { ShadowCounters } from '../policy/shadow/shadow-counters.js';

/** Of a tenant's latest receipts when the first decision of it is compared. What was before is not counted. */
const MOST_RECORDS = 5_000;
/** With more actions than this everything is counted anew, from the latest records. */
const MOST_ACTIONS = 100_000;
/** Records that are counted in one turn: what waits meanwhile are agents. */
const AT_ONCE = 10;
/** How often the ledger is asked for new records. Milliseconds. */
const LOOK_EVERY_MS = 1_000;

interface Read {
  /** The last receipt that was counted. */
  seq: number;
  /** By the process's own clock. */
  at: number;
}

export class ShadowLimits implements ShadowLimitReader {
  readonly #ledger: Pick<Ledger, 'archive' | 'limits' | 'receipts'>;
  #pair = '';
  #counters: ShadowCounters | undefined;
  /** By tenant. */
  #reads = new Map<string, Read>();
  /** Actions that wait for their comparison, with their records where they have ended. */
  readonly #expected = new Map<string, { times: number; record?: DecisionRecord }>();

  constructor(ledger: Pick<Ledger, 'archive' | 'limits' | 'receipts'>) {
    this.#ledger = ledger;
  }

  expect(tenant: string, actionId: string): () => void {
    const key = `${tenant}/${actionId}`;
    const expected = this.#expected.get(key) ?? { times: 0 };
    this.#expected.set(key, expected);
    expected.times++;
    return () => {
      if (--expected.times > 0) return;
      this.#expected.delete(key);
      if (expected.record !== undefined) this.#counters?.add(expected.record);
    };
  }

  async read(
    { candidate, active }: { readonly candidate: Policy; readonly active: Policy },
    tenant: string,
    actionId: string,
    demands: readonly LimitDemand[],
  ): Promise<readonly LimitReading[]> {
    const counters = this.#countersOf(candidate, active);
    const shared = demands.filter((demand) => !counters.counts(demand));
    if (shared.length < demands.length) await this.#catchUp(counters, tenant);
    const read = await this.#ledger.limits.read(tenant, actionId, shared);
    const known = new Map(shared.map((demand, index) => [demand, read[index]]));
    const now = Date.now() * 1000;
    return demands.map((demand) => known.get(demand) ?? counters.read(tenant, actionId, demand, now));
  }

  hold(tenant: string, actionId: string, demands: readonly LimitDemand[]): void {
    this.#counters?.hold(tenant, actionId, demands, Date.now() * 1000);
  }

  #countersOf(candidate: Policy, active: Policy): ShadowCounters {
    const pair = `${candidate.digest} ${active.digest}`;
    if (this.#counters === undefined || pair !== this.#pair || this.#counters.size > MOST_ACTIONS) {
      this.#pair = pair;
      this.#counters = new ShadowCounters(candidate, ownLimits(active, candidate));
      this.#reads = new Map();
    }
    return this.#counters;
  }

  /** Comparisons are made one after another, so this is never done twice at once. */
  async #catchUp(counters: ShadowCounters, tenant: string): Promise<void> {
    const read = this.#reads.get(tenant);
    if (read !== undefined && performance.now() - read.at < LOOK_EVERY_MS) return;
    const { seq: head } = await this.#ledger.receipts.head(tenant);
    const now = { seq: read?.seq ?? Math.max(0, head - MOST_RECORDS), at: performance.now() };
    let counted = 0;
    if (head > now.seq) {
      for await (const action of this.#ledger.archive.decided({ tenant, after: now.seq })) {
        const expected = this.#expected.get(`${tenant}/${action.actionId}`);
        if (expected === undefined) counters.add(recordOf(action));
        else expected.record = recordOf(action);
        now.seq = action.receipt.seq;
        if (++counted % AT_ONCE === 0) await turn();
      }
    }
    this.#reads.set(tenant, now);
  }
}
