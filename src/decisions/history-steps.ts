/** What the history of one action holds: the request, what each step returned, and how the workflow ended. Nothing of it is verified here. */
import type { Payload } from '@temporalio/common';
import type { ActionRequest } from '../../activities/contract.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import type { Decode } from '../client/payloads.js';
import { commandOf } from '../replay/commands.js';
import type { HistoryEvent, RecordedHistory } from '../replay/history.js';

/** What an activity returned. `result` is undefined when it returned nothing, or never came back. */
export interface StepResult {
  readonly step: string;
  /** When history has it. Milliseconds since the epoch. */
  readonly at: number;
  readonly result?: unknown;
}

export interface ActionHistory {
  readonly workflowId: string;
  /** The workflow's input, whatever it really is. */
  readonly request: Partial<ActionRequest> | null | undefined;
  /** In the order of history. */
  readonly steps: readonly StepResult[];
  /** What activities that check people's decisions were given. */
  readonly checks: readonly unknown[];
  /** Whether the workflow is over, with or without an outcome. */
  readonly over: boolean;
  /** The workflow's result, whatever it really is. */
  readonly outcome?: Partial<Outcome> | null;
}

const CHECKS: ReadonlySet<string> = new Set(['checkApproval', 'checkEdit']);

/** @throws CountersignError HISTORY_INVALID where a payload cannot be decoded */
export async function readSteps({ workflowId, events }: RecordedHistory, decode: Decode): Promise<ActionHistory> {
  const first = async (payloads: readonly Payload[] | null | undefined): Promise<unknown> =>
    (await decoded(decode, payloads?.slice(0, 1)))[0];
  const steps: StepResult[] = [];
  const checks: unknown[] = [];
  /** Activities that were scheduled, by the number of that event. */
  const scheduled = new Map<string, string>();
  for (const event of events) {
    const command = commandOf(event);
    const activity = event.activityTaskScheduledEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    if (command?.kind === 'local activity') {
      const result = await first(event.markerRecordedEventAttributes?.details?.['result']?.payloads);
      steps.push({ step: command.name, at: timeOf(event), result });
    } else if (activity != null && command?.kind === 'activity') {
      scheduled.set(String(event.eventId), command.name);
      if (CHECKS.has(command.name)) checks.push(await first(activity.input?.payloads));
    } else if (completed != null) {
      const id = String(completed.scheduledEventId);
      const step = scheduled.get(id);
      scheduled.delete(id);
      if (step !== undefined) steps.push({ step, at: timeOf(event), result: await first(completed.result?.payloads) });
    }
  }
  for (const step of scheduled.values()) steps.push({ step, at: timeOf(events.at(-1)) });
  const end = events.at(-1);
  const begin = events[0]?.workflowExecutionStartedEventAttributes;
  const ending = end?.workflowExecutionCompletedEventAttributes?.result?.payloads;
  const outcome = (await first(ending)) as ActionHistory['outcome'];
  return {
    workflowId,
    request: (await first(begin?.input?.payloads)) as ActionHistory['request'],
    steps,
    checks,
    over: end !== undefined && ENDS.some((name) => end[name] != null),
    ...(outcome === undefined ? {} : { outcome }),
  };
}

const ENDS = [
  'workflowExecutionCompletedEventAttributes',
  'workflowExecutionFailedEventAttributes',
  'workflowExecutionTimedOutEventAttributes',
  'workflowExecutionTerminatedEventAttributes',
  'workflowExecutionCanceledEventAttributes',
  'workflowExecutionContinuedAsNewEventAttributes',
] as const;

/** Seconds are a number in a history that was read from JSON, and a 64-bit integer of the SDK's in one from a server. */
function timeOf(event: HistoryEvent | undefined): number {
  const { seconds, nanos } = event?.eventTime ?? {};
  return Number(seconds ?? 0) * 1000 + Math.floor((nanos ?? 0) / 1_000_000);
}

async function decoded(decode: Decode, payloads: readonly Payload[] | undefined): Promise<readonly unknown[]> {
  if (payloads === undefined) return [];
  try {
    return await decode(payloads);
  } catch (cause) {
    const { message } = asCountersignError(cause);
    throw new CountersignError('HISTORY_INVALID', `its payloads cannot be decoded: ${message}`, {
      field: 'payloads',
      expected: 'payloads that this client has the codec of',
      fix: 'Take the decisions from the ledger, or from a file that was exported from it.',
      cause,
    });
  }
}
