/** One round over all trails: grants of slow actions are entered, each trail gets a checkpoint over what was added, and each anchor the checkpoints that it has not. */
import { asCountersignError, type CountersignError } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';
import type { Keyring } from '../trust/index.js';
import type { Anchor } from './anchors/anchor.js';
import { checkpointTrail, type Checkpoint } from './checkpoint.js';
import { enterUsedGrants } from './entered-grants.js';

export interface RoundOptions {
  readonly ledger: Pick<Ledger, 'trail'>;
  readonly keyring: Keyring;
  readonly anchors: readonly Anchor[];
  /** Default: every tenant that has a trail. */
  readonly tenants?: readonly string[];
  /** A grant is entered when it was used longer ago than this and its action has no outcome. Milliseconds, default 60,000. */
  readonly enterAfterMs?: number;
  readonly signal: AbortSignal;
  /** Called as it goes on: at least once for each tenant. */
  readonly progress?: () => void;
}

export interface RoundReport {
  /** How many grants were entered. */
  readonly entered: number;
  readonly checkpoints: readonly (Pick<Checkpoint, 'made'> & Checkpoint['claims'])[];
  /** What went wrong, tenant by tenant: the others are done. */
  readonly problems: readonly { readonly tenant: string; readonly error: CountersignError }[];
}

/** @throws CountersignError LEDGER_UNAVAILABLE */
export async function checkpointRound(options: RoundOptions): Promise<RoundReport> {
  const { ledger, keyring, anchors, signal, progress = () => {} } = options;
  const checkpoints: RoundReport['checkpoints'][number][] = [];
  const problems: { tenant: string; error: CountersignError }[] = [];
  const entered = await enterUsedGrants({
    ledger,
    tenants: options.tenants,
    olderThanMs: options.enterAfterMs,
    signal,
    progress,
    problem: (tenant, error) => problems.push({ tenant, error }),
  });
  for (const tenant of options.tenants ?? (await ledger.trail.tenants())) {
    signal.throwIfAborted();
    try {
      const checkpoint = await checkpointTrail(tenant, { ledger, keyring });
      if (checkpoint === undefined) continue;
      checkpoints.push({ made: checkpoint.made, ...checkpoint.claims });
      const { size } = checkpoint.claims;
      for (const anchor of anchors) {
        if (await ledger.trail.isAnchored(tenant, size, anchor.name)) continue;
        const detail = await anchor.put({ tenant, size, jws: checkpoint.jws }, signal).catch((error: unknown) => {
          problems.push({ tenant, error: asCountersignError(error) });
        });
        if (detail !== undefined) await ledger.trail.noteAnchor(tenant, size, anchor.name, detail.slice(0, 500));
      }
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (error.code === 'LEDGER_UNAVAILABLE') throw error;
      problems.push({ tenant, error });
    }
    progress();
  }
  return { entered, checkpoints, problems };
}
