/** What a call on an action may fail of, as Countersign's errors; most of it is what Temporal's client says. */
import { status } from '@grpc/grpc-js';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { asCountersignError, CountersignError, type ErrorView } from '../action/errors.js';
import { actionConflict } from '../action/errors-conflict.js';
import { actionNotFound } from '../action/errors-not-found.js';
import type { TemporalSettings } from '../environment.js';
import { causes, grpcCode, isRefused, isUnreached, temporalUnavailable } from './connection.js';

/** What a call on an action failed of, with what to do about it. */
export function translated(
  error: unknown,
  actionId: string,
  { address }: Pick<TemporalSettings, 'address'>,
): CountersignError {
  if (error instanceof CountersignError) return error;
  if (error instanceof WorkflowNotFoundError) {
    return actionNotFound(actionId, ' in Temporal', {
      expected: 'the id of an action of this tenant that Temporal still keeps',
      cause: error,
    });
  }
  if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError) {
    const view =
      error.cause instanceof ApplicationFailure ? (error.cause.details?.[0] as ErrorView | undefined) : undefined;
    if (view?.code !== undefined) return new CountersignError(view.code, view.message, { ...view, cause: error });
  }
  if (error instanceof WorkflowFailedError || isCutShort(error)) {
    const how = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return new CountersignError('EFFECT_UNKNOWN', `The workflow of action ${actionId} was ended from outside: ${how}`, {
      fix: `See how far it came (countersign show ${actionId}) or propose it again with the same actionId: what happened is found out first.`,
      // Whoever waited for an answer may ask for it again; a workflow's own end stays what it is.
      retryable: !(error instanceof WorkflowFailedError),
      cause: error,
    });
  }
  if (isUnreached(error) || isRefused(error)) return temporalUnavailable(address, error);
  if (says(FAILED_TASK, error) || says(CLOSING, error)) {
    return new CountersignError('TEMPORAL_UNAVAILABLE', `The action ${actionId} cannot be asked at this moment.`, {
      fix: askAgain(actionId),
      retryable: true,
      cause: error,
    });
  }
  return asCountersignError(error);
}

function askAgain(actionId: string): string {
  return `Ask again with the same actionId (${actionId}): that is safe. If it stays so, check that a worker runs: countersign doctor`;
}

export function timedOut(actionId: string, timeoutMs: number, cause: unknown): CountersignError {
  return new CountersignError(
    'TIMED_OUT',
    `No answer on action ${actionId} within ${timeoutMs} ms; it goes on regardless.`,
    {
      fix: askAgain(actionId),
      retryable: true,
      cause,
    },
  );
}

export function conflict(actionId: string): CountersignError {
  const { code, message, ...problem } = actionConflict(actionId);
  return new CountersignError(code, message, problem);
}

/** What an agent is told is what is recorded: where nothing can be recorded there is no outcome yet. */
export function unrecorded(actionId: string, { code, message, ...problem }: ErrorView): CountersignError {
  return new CountersignError(code, `Action ${actionId} was refused, and that cannot be recorded yet: ${message}`, {
    ...problem,
    fix: 'Repeat the same call when the ledger is back: it returns what is recorded.',
    retryable: true,
  });
}

/** What Temporal says while a workflow task has failed and is tried again. It is over soon. */
const FAILED_TASK = /workflow task in failed state|unexpected workflow task failure/i;

/** What it says while a workflow is being closed: whoever asked is told, and finds out by asking again. */
const CLOSING = /update was aborted by closing workflow/i;

/** What the server answers an update whose workflow was ended while it waited. */
const CUT_SHORT = 'AcceptedUpdateCompletedWorkflow';

function isCutShort(error: unknown): boolean {
  return causes(error).some((cause) => cause instanceof ApplicationFailure && cause.type === CUT_SHORT);
}

/** Whether a call failed of something that is over soon: the server turned it away in time of much work, or a workflow task is tried again. */
export function isBusy(error: unknown): boolean {
  return says(FAILED_TASK, error) || grpcCode(error) === status.RESOURCE_EXHAUSTED;
}

function says(what: RegExp, error: unknown): boolean {
  return causes(error).some(({ message }) => what.test(message));
}

/** Whether a workflow could not be started, or asked, because it has ended. */
export function hasEnded(error: unknown): boolean {
  return causes(error).some(
    (cause) =>
      cause instanceof WorkflowExecutionAlreadyStartedError ||
      cause instanceof WorkflowNotFoundError ||
      /already started|already completed|workflow execution not found/i.test(cause.message),
  );
}
