/** Reads the reports of `execute`, for the steps after it. */
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import type { CapturePostStateInput, EffectReport } from './contract.js';
import type { StepRun } from './step.js';

/** Opens a report of `execute`. Without a valid seal it counts as `unknown`, and the effect must be looked up. */
export function openReport(report: CapturePostStateInput['report'], run: StepRun): EffectReport {
  const { seal, ...unsealed } = report;
  const unknown = (error: ErrorView): EffectReport => ({ kind: 'unknown', at: 0, tookMs: 0, error });
  if (seal === undefined) {
    return unknown(
      'error' in unsealed ? unsealed.error : { code: 'SEAL_INVALID', message: 'The report of the effect has no seal.' },
    );
  }
  try {
    return run.open<EffectReport>('execute', { ...unsealed, seal });
  } catch (thrown) {
    return unknown(asCountersignError(thrown).toJSON());
  }
}

/** The activities whose use of a grant is known to have had no effect. */
export function usesOf(reports: readonly EffectReport[]): readonly string[] {
  return reports.flatMap((report) => ('usedBy' in report && report.usedBy !== undefined ? [report.usedBy] : []));
}

export function fromView(view: ErrorView): CountersignError {
  return new CountersignError(view.code, view.message, view);
}
