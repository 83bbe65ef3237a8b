/** Step 3, `capturePreState`: captures the state that the action can change, before it changes it. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { Rehearsal } from '../src/action/rehearsal.js';
import type { State } from '../src/action/snapshot.js';
import { createDelta, rehearsedState, rehearseInvariants } from '../src/verify/index.js';
import { assertAsLeft } from './compensation-state.js';
import { readInput, type ToolInput } from './authenticate.js';
import type { Activities, CapturePreStateInput, PreState, Proposed } from './contract.js';
import type { Dependencies } from './deps.js';
import { capture, keep } from './snapshots.js';
import { sealedProposal, StepRun } from './step.js';

export async function capturePreState(
  { request, proposed }: CapturePreStateInput,
  deps: Dependencies,
): ReturnType<Activities['capturePreState']> {
  const run = new StepRun('capturePreState', request.proposal, deps);
  try {
    const { preview } = run.open<Proposed>('propose', proposed);
    const read = readInput(sealedProposal(request), deps);
    const captured = await capture(read.tool, read.input, { preview }, Context.current().cancellationSignal);
    await keep(request, captured, deps);
    // Checked now, so that people are not asked about a compensation that could not run.
    await assertAsLeft(request, captured.snapshot, deps);
    await assertPromiseKept(read, captured.state, preview.rehearsal, deps);
    return run.seal<PreState>({ kind: 'pre_state', snapshot: captured.snapshot });
  } catch (thrown) {
    return run.refuse(thrown);
  }
}

/** An expectation that is too costly on the real state, or that a rehearsal shows to be false, is refused while nothing has been done. */
export async function assertPromiseKept(
  read: ToolInput,
  state: State,
  rehearsal: Rehearsal | undefined,
  deps: Dependencies,
): Promise<void> {
  await rehearse(read, state, deps);
  await assertPromiseHolds(read, state, rehearsal, deps);
}

async function rehearse(
  { tool, expectations }: ToolInput,
  state: State,
  { expectations: runner, verification }: Dependencies,
): Promise<void> {
  for (const expectation of expectations) await runner.rehearse(expectation, state);
  const invariants = verification?.invariants.get(tool.name);
  if (invariants !== undefined) await rehearseInvariants(invariants, state, runner);
}

/**
 * Refuses an action whose rehearsal does not do what its expectation promises, so that nobody is asked about it. What depends on more than the
 * rehearsal shows (the tool's result, times, effects that may show late) is judged after the effect, as is what has no value here.
 */
async function assertPromiseHolds(
  { expectations }: ToolInput,
  pre: State,
  rehearsal: Rehearsal | undefined,
  { expectations: runner }: Dependencies,
): Promise<void> {
  const post = rehearsal && rehearsedState(pre, rehearsal);
  if (post === undefined) return;
  const { patch, operations } = createDelta(pre, post, 0);
  const values = { pre, post, delta: { patch, operations } };
  for (const expectation of expectations) {
    if (expectation.withinMs > 0 || expectation.uses.includes('result')) continue;
    const { broken } = await runner.judge(expectation, values);
    if (broken !== true) continue;
    // The values are not told: somebody may still have to allow that they are changed.
    const message = `In the rehearsal, ${expectation.check} does not hold; nothing was done.`;
    throw new CountersignError('REHEARSAL_DIFFERS', message, {
      field: 'proposal.expect',
      expected: 'an expectation that holds when the change does what it did in its rehearsal',
      fix: 'Compare the change with the expectation, and correct the one that is wrong.',
    });
  }
}
