/** Failures between the workflow and its activities and callers, as error views. */
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/workflow';
import type { ErrorCode, ErrorView } from '../src/action/errors.js';

/** What an activity's failure says. Activities put the view in the failure's first detail. */
export function errorView(failure: unknown): ErrorView {
  const cause = failure instanceof ActivityFailure ? failure.cause : failure;
  if (cause instanceof ApplicationFailure) {
    const view = cause.details?.[0] as ErrorView | undefined;
    if (view !== undefined && typeof view.code === 'string') return view;
  }
  if (cause instanceof TimeoutFailure) return { code: 'INTERNAL', message: `A step took too long: ${cause.message}` };
  if (cause instanceof CancelledFailure) return { code: 'CANCELLED', message: 'The step was cancelled.' };
  return { code: 'INTERNAL', message: cause instanceof Error ? cause.message : String(cause) };
}

/** An update's refusal. A plain Error would fail the workflow task instead of the caller. */
export function refusal(view: ErrorView): ApplicationFailure {
  return ApplicationFailure.create({ message: view.message, type: view.code, nonRetryable: true, details: [view] });
}

export function refuse(code: ErrorCode, message: string, fix?: string): ApplicationFailure {
  return refusal({ code, message, ...(fix === undefined ? {} : { fix }) });
}
