/** Captures states. Those too large for history are kept in the ledger. */
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import { EMPTY_SNAPSHOT, type Snapshot, type State } from '../src/action/snapshot.js';
import type { CaptureOptions, Tool } from '../src/tools/tool.js';
import { takeSample, takeSnapshot } from '../src/verify/index.js';
import type { ActionRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { redactorOf, workflowIdentity } from './step.js';

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

/**
 * Stores in the ledger a state that is too large for history, and encrypted every state of a tool of which values are redacted: to undo the
 * action, they are needed as they were. It can be repeated, because the state is stored under its digest.
 */
export async function keep(
  request: Pick<ActionRequest, 'proposal'>,
  { state, snapshot, large }: Captured & { large?: State },
  deps: Dependencies,
): Promise<void> {
  const { tenant } = workflowIdentity();
  const { content } = deps.ledger;
  const { digest } = snapshot;
  const redactor = await redactorOf(request, deps);
  if (redactor !== undefined) await content.putSealedSnapshot(tenant, digest, await redactor.seal(state));
  else if (large !== undefined) await content.putSnapshot(tenant, digest, large);
}

/**
 * Loads the whole state of a snapshot, from the snapshot itself or, where it is too large for history or redacted, from the ledger. The digest is sealed
 * and the ledger is not: what it has under the digest counts only where it is what the digest is of.
 *
 * @throws CountersignError NOT_FOUND, RECEIPTS_BROKEN; PAYLOAD_KEY_UNKNOWN, PAYLOAD_INVALID
 */
export async function recall(
  tenant: string,
  { state, digest: expected }: Snapshot,
  { ledger, redaction }: Pick<Dependencies, 'ledger' | 'redaction'>,
): Promise<State> {
  if (state !== undefined && (redaction === undefined || digest(state) === expected)) return state;
  // It is the same for everybody, so whoever stored it first may have been erased.
  if (expected === EMPTY_SNAPSHOT.digest) return {};
  const body = await ledger.content.getSnapshot(tenant, expected);
  if (body === undefined) throw new CountersignError('NOT_FOUND', `The ledger has no snapshot ${expected}.`);
  if (digest(body) === expected) return body as State;
  const opened = await redaction?.unseal(tenant, body);
  if (opened !== undefined && digest(opened) === expected) return opened as State;
  throw new CountersignError('RECEIPTS_BROKEN', `What the ledger has as the state ${expected} is another one.`, {
    field: 'snapshot',
    expected: 'the state that was captured',
    fix: 'Find out who can write to the ledger, and look at the system itself.',
  });
}
