/** Which records a receipt names: those that the steps of the action sealed, in the order of the pipeline. */
import { asCountersignError } from '../src/action/errors.js';
import { STEPS } from '../src/action/outcome.js';
import type { StepDigest } from '../src/action/step-digest.js';
import type { SealedStep } from '../src/trust/index.js';
import type { Approved, Enforced, NamedRecords, Sealed, StepRecord } from './contract.js';
import type { StepRun } from './step.js';

const ORDER: readonly string[] = STEPS;

interface Given extends NamedRecords {
  readonly enforced?: Sealed<Enforced> | undefined;
  readonly approved?: Sealed<Approved> | undefined;
}

/** The records that the run has opened, and those given. One whose seal is not good is not named: nothing rests on it here. */
export function recordsOf(run: StepRun, { proposed, enforced, pre, approved, granted }: Given): readonly StepDigest[] {
  name(run, 'propose', proposed);
  name(run, 'enforce', enforced);
  name(run, 'capturePreState', pre);
  name(run, 'requestApproval', approved);
  name(run, 'authorize', granted);
  const once = new Map(run.opened.map((one) => [`${one.step} ${one.digest}`, one]));
  return [...once.values()].toSorted((a, b) => ORDER.indexOf(a.step) - ORDER.indexOf(b.step));
}

function name(run: StepRun, step: SealedStep, record: Sealed<StepRecord> | undefined): void {
  if (record === undefined) return;
  try {
    run.open(step, record);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code !== 'SEAL_INVALID') throw error;
  }
}
