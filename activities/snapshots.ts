/** Captures states. Those too large for history are kept in the ledger. */
import { CountersignError } from '../src/action/errors.js';
import type { Snapshot, State } from '../src/action/snapshot.js';
import type { CaptureOptions, Tool } from '../src/tools/tool.js';
import { takeSample, takeSnapshot } from '../src/verify/index.js';
import type { Dependencies } from './deps.js';

export interface Captured {
  readonly state: State;
  readonly snapshot: Snapshot;
  /** Why there is no sample of rows after the effect. */
  readonly unsampled?: string;
}

export async function capture(
  tool: Tool,
  input: unknown,
  options: CaptureOptions,
  signal: AbortSignal,
): Promise<Captured & { large?: State }> {
  const start = performance.now();
  const state = await tool.capture(input, options, { signal });
  const taken = takeSnapshot(state, Math.round((performance.now() - start) * 100) / 100);
  if (tool.sample === undefined) return { state, ...taken };
  const { pre, ...done } = options.after ?? { pre: state };
  const sample = await takeSample(tool, input, { pre, ...done, after: options.after !== undefined }, signal);
  if ('problem' in sample) return { state, ...taken, unsampled: sample.problem };
  if (Object.keys(sample.state).length === 0) return { state, ...taken };
  return { state, ...taken, snapshot: { ...taken.snapshot, sample: sample.state } };
}

/** Stores in the ledger a state that is too large for history. It can be repeated, because the state is stored under its digest. */
export async function keep(
  tenant: string,
  { snapshot, large }: { snapshot: Snapshot; large?: State },
  { ledger }: Dependencies,
) {
  if (large !== undefined) await ledger.content.putSnapshot(tenant, snapshot.digest, large);
}

/** Loads the whole state of a snapshot, from the snapshot itself or from the ledger. @throws CountersignError NOT_FOUND */
export async function recall(tenant: string, snapshot: Snapshot, { ledger }: Dependencies): Promise<State> {
  if (snapshot.state !== undefined) return snapshot.state;
  const state = await ledger.content.getSnapshot(tenant, snapshot.digest);
  if (state === undefined) throw new CountersignError('NOT_FOUND', `The ledger has no snapshot ${snapshot.digest}.`);
  return state as State;
}
