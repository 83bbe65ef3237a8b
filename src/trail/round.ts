/** One round over all trails: grants of slow actions are entered, each trail gets a checkpoint over what was added, and each anchor the checkpoints that it has not. */
import { asCountersignError, type CountersignError } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';
import type { Keyring } from '../trust/index.js';
import { anchorFailed, type Anchor } from './anchors/anchor.js';
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
  /** For how long an anchor is waited for in vain, over all tenants, before what it has not is left to the next round. Milliseconds, default 60,000. */
  readonly awayMs?: number;
  readonly signal: AbortSignal;
}

export interface RoundReport {
  /** How many grants were entered. */
  readonly entered: number;
  readonly checkpoints: readonly (Pick<Checkpoint, 'made'> & Checkpoint['claims'])[];
  /** What went wrong, tenant by tenant: the others are done. */
  readonly problems: readonly { readonly tenant: string; readonly error: CountersignError }[];
}

/** Every trail is signed before any is put somewhere, and no anchor waits for another: one that is away keeps no other trail from being told. @throws CountersignError LEDGER_UNAVAILABLE */
export async function checkpointRound(options: RoundOptions): Promise<RoundReport> {
  const { ledger, keyring, anchors, signal } = options;
  const checkpoints: Checkpoint[] = [];
  const problems: { tenant: string; error: CountersignError }[] = [];
  const problem = (tenant: string, error: CountersignError): void => void problems.push({ tenant, error });
  const entered = await enterUsedGrants({
    ledger,
    tenants: options.tenants,
    olderThanMs: options.enterAfterMs,
    signal,
    problem,
  });
  for (const tenant of options.tenants ?? (await ledger.trail.tenants())) {
    signal.throwIfAborted();
    try {
      const checkpoint = await checkpointTrail(tenant, { ledger, keyring });
      if (checkpoint !== undefined) checkpoints.push(checkpoint);
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (error.code === 'LEDGER_UNAVAILABLE') throw error;
      problem(tenant, error);
    }
  }
  await Promise.all(anchors.map((anchor) => anchored(anchor, checkpoints, { ...options, problem })));
  return { entered, checkpoints: checkpoints.map(({ made, claims }) => ({ made, ...claims })), problems };
}

interface Anchoring extends Pick<RoundOptions, 'ledger' | 'signal' | 'awayMs'> {
  readonly problem: (tenant: string, error: CountersignError) => void;
}

/** Puts what an anchor has not. @throws CountersignError LEDGER_UNAVAILABLE */
async function anchored(
  anchor: Anchor,
  checkpoints: readonly Checkpoint[],
  { ledger: { trail }, signal, awayMs = 60_000, problem }: Anchoring,
): Promise<void> {
  const { name } = anchor;
  let waitedMs = 0;
  for (const { jws, claims, made } of startingAnywhere(checkpoints)) {
    const { tenant, size } = claims;
    signal.throwIfAborted();
    // The ledger is not asked about what was signed just now: whoever can write to it could say that the anchor has it.
    if (!made && (await trail.isAnchored(tenant, size, name))) continue;
    if (waitedMs > awayMs) {
      problem(
        tenant,
        anchorFailed(name, `it was waited for in vain for ${Math.round(waitedMs / 1000)} s in this round.`),
      );
      continue;
    }
    const begun = performance.now();
    try {
      const detail = await anchor.put({ tenant, size, jws }, signal);
      await trail.noteAnchor(tenant, size, name, detail.slice(0, 500));
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (error.code === 'LEDGER_UNAVAILABLE') throw error;
      waitedMs += performance.now() - begun;
      problem(tenant, error);
    }
  }
}

/** In turn, from another place each time: where a round ends early, it is not always the same tenants that wait. */
function startingAnywhere<T>(all: readonly T[]): readonly T[] {
  const from = Math.floor(Math.random() * all.length);
  return [...all.slice(from), ...all.slice(0, from)];
}
