/** Step 3, `capturePreState`: captures the state that the action can change, before it changes it. */
import { Context } from '@temporalio/activity';
import type { State } from '../src/action/snapshot.js';
import { rehearseInvariants } from '../src/verify/index.js';
import { assertAsLeft } from './compensation-state.js';
import { readInput, type ToolInput } from './authenticate.js';
import type { Activities, CapturePreStateInput, PreState, Proposed } from './contract.js';
import type { Dependencies } from './deps.js';
import { capture, keep } from './snapshots.js';
import { sealedProposal, StepRun, workflowIdentity } from './step.js';

export async function capturePreState(
  { request, proposed }: CapturePreStateInput,
  deps: Dependencies,
): ReturnType<Activities['capturePreState']> {
  const run = new StepRun('capturePreState', request.proposal, deps);
  try {
    const { preview } = run.open<Proposed>('propose', proposed);
    const read = readInput(sealedProposal(request), deps);
    const captured = await capture(read.tool, read.input, { preview }, Context.current().cancellationSignal);
    await keep(workflowIdentity().tenant, captured, deps);
    // Checked now, so that people are not asked about a compensation that could not run.
    await assertAsLeft(request, captured.snapshot, deps);
    // An expectation that is too costly on the real state is refused now, while nothing has been done.
    await rehearse(read, captured.state, deps);
    return run.seal<PreState>({ kind: 'pre_state', snapshot: captured.snapshot });
  } catch (thrown) {
    return run.refuse(thrown);
  }
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
