/** The state before the effect, as the step that captured it sealed it. */
import type { Facts } from '../src/action/decision.js';
import type { PreState, Sealed } from './contract.js';
import type { StepRun } from './step.js';

/** Undefined for a read: it changes nothing, so there is no state to capture. @throws CountersignError SEAL_INVALID */
export function openPreState(
  run: StepRun,
  { actionType }: Pick<Facts, 'actionType'>,
  pre: Sealed<PreState> | undefined,
): PreState | undefined {
  if (pre === undefined && actionType === 'READ') return undefined;
  return run.open<PreState>('capturePreState', pre);
}
