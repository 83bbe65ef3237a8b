/** The activities as the workflows schedule them: what runs where, how long it may take and how often it is tried. */
import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
  type RetryPolicy,
} from '@temporalio/workflow';
import type { Activities } from '../activities/contract.js';

/** For a connection that blinks. What lasts longer is refused (before the effect) or waited out (after it). */
const BRIEFLY: RetryPolicy = { initialInterval: '100ms', backoffCoefficient: 3, maximumAttempts: 4 };

/** A worker that may not draw leaves it to another. */
const UNTIL_DRAWN: RetryPolicy = { initialInterval: '100ms', backoffCoefficient: 2, maximumAttempts: 8 };

/** After the effect nothing may be lost: tried until it is recorded. */
const UNTIL_DONE: RetryPolicy = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' };

/** A worker that stops heartbeating is taken for dead after this, and another one takes the step up. */
const HEARTBEAT = '5s';

/** How long a tool's system is waited for after an effect, before the outcome is settled as unknown. */
const READING_MAX_WAIT = '15 minutes';

/** The policy of each step that runs in the worker of the workflow itself: no task is queued, and it costs one event. */
export const local = {
  /** It reads from the tool's system, which may be busy for a moment. */
  propose: one('propose', '20s', BRIEFLY),
  /** It reads policy and limits; without either nothing can be decided, so it is not waited for long. */
  enforce: one('enforce', '10s', BRIEFLY),
  capturePreState: one('capturePreState', '20s', BRIEFLY),
  requestApproval: one('requestApproval', '10s', BRIEFLY),
  /** A repeated attempt holds nothing twice. */
  authorize: one('authorize', '10s', BRIEFLY),
  capturePostState: one('capturePostState', '20s', BRIEFLY),
  verify: one('verify', '20s', BRIEFLY),
  settle: one('settle', '20s', BRIEFLY),
  previewDryRun: one('previewDryRun', '20s', BRIEFLY),
  decideDryRun: one('decideDryRun', '10s', BRIEFLY),
  begunBefore: one('begunBefore', '10s', BRIEFLY),
  decideBatch: one('decideBatch', '20s', BRIEFLY),
} as const;

function one<Name extends LocalStep>(
  name: Name,
  startToCloseTimeout: '10s' | '20s',
  retry: RetryPolicy,
): Activities[Name] {
  return proxyLocalActivities<Pick<Activities, Name>>({ startToCloseTimeout, retry })[name] as Activities[Name];
}

type LocalStep =
  | 'propose'
  | 'enforce'
  | 'capturePreState'
  | 'requestApproval'
  | 'authorize'
  | 'capturePostState'
  | 'verify'
  | 'settle'
  | 'previewDryRun'
  | 'decideDryRun'
  | 'begunBefore'
  | 'decideBatch';

/** The steps before the effect that touch the tool's system, where the tool has workers of its own. */
export function onTaskQueue(
  taskQueue: string,
): Pick<Activities, 'propose' | 'capturePreState' | 'previewDryRun' | 'previewCanary'> {
  return proxyActivities<Activities>({ taskQueue, startToCloseTimeout: '60s', retry: BRIEFLY });
}

/** What an attempt may take beyond the effect itself: to pass the gate, and to take back what took too long. */
const AROUND_EFFECT_MS = 15_000;

interface EffectOptions {
  readonly taskQueue: string | undefined;
  readonly timeoutMs: number;
  readonly summary: string;
  /** Whether a cancellation waits for what the effect says that it did. */
  readonly answersCancellation: boolean;
}

/** The effect: always a regular activity, so that it never runs without a trace. */
export function effect({ taskQueue, timeoutMs, summary, answersCancellation }: EffectOptions): Activities['execute'] {
  return proxyActivities<Activities>({
    ...(taskQueue === undefined ? {} : { taskQueue }),
    summary,
    // The SDK says that this is its default, and does not wait where nothing is said.
    ...(answersCancellation ? { cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED } : {}),
    startToCloseTimeout: timeoutMs + AROUND_EFFECT_MS,
    heartbeatTimeout: HEARTBEAT,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 6 },
  }).execute;
}

/** Whoever records an ending waits for the ledger for as long as it takes. */
const recording = proxyActivities<Pick<Activities, 'verify' | 'settle'>>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: HEARTBEAT,
  retry: UNTIL_DONE,
});

/** The steps after the effect, as regular activities that wait for the ledger, and for the tool's system for a while. */
export const waiting = {
  capturePostState: (taskQueue: string | undefined): Activities['capturePostState'] =>
    proxyActivities<Activities>({
      ...(taskQueue === undefined ? {} : { taskQueue }),
      startToCloseTimeout: '11 minutes',
      scheduleToCloseTimeout: READING_MAX_WAIT,
      heartbeatTimeout: HEARTBEAT,
      retry: UNTIL_DONE,
    }).capturePostState,
  verify: recording.verify,
  settle: recording.settle,
};

/**
 * A person's decision. Several may come at once: checked by local activities, they would come back in another order on replay than
 * they did at first, and no worker could go on with the action.
 */
export const people = proxyActivities<Pick<Activities, 'checkApproval' | 'checkEdit'>>({
  startToCloseTimeout: '20s',
  retry: BRIEFLY,
});

const canarySteps = proxyActivities<Pick<Activities, 'previewCanary' | 'openCanary' | 'decideCanary'>>({
  startToCloseTimeout: '20s',
  heartbeatTimeout: HEARTBEAT,
  retry: BRIEFLY,
});

/** The steps of a canary. None of them is a step of an action. */
export const canaries = {
  previewCanary: canarySteps.previewCanary,
  openCanary: canarySteps.openCanary,
  decideCanary: canarySteps.decideCanary,
  endCanary: proxyActivities<Pick<Activities, 'endCanary'>>({
    startToCloseTimeout: '10s',
    heartbeatTimeout: HEARTBEAT,
    retry: UNTIL_DONE,
  }).endCanary,
  /** It reads one row: a worker that has not answered by then is dead. */
  drawCanaries: proxyActivities<Pick<Activities, 'drawCanaries'>>({ startToCloseTimeout: '5s', retry: UNTIL_DRAWN })
    .drawCanaries,
};

/** What people and late callers ask for: no part of an action, so it is tried for a while only. */
export const commands = proxyActivities<Pick<Activities, 'executeCommand' | 'recordedOutcome'>>({
  startToCloseTimeout: '10s',
  retry: BRIEFLY,
});

/** Asked for as long as it takes: a saga that does not know how a step stands can do nothing else. */
export const patient = proxyActivities<Pick<Activities, 'actionState'>>({
  startToCloseTimeout: '10s',
  retry: UNTIL_DONE,
});

/** How long the system is waited for in which something is to be undone, before a person has to decide. */
const UNDOING_MAX_WAIT = '15 minutes';

export function undoing(taskQueue: string | undefined): Activities['compensate'] {
  return proxyActivities<Activities>({
    ...(taskQueue === undefined ? {} : { taskQueue }),
    startToCloseTimeout: '60s',
    heartbeatTimeout: HEARTBEAT,
    scheduleToCloseTimeout: UNDOING_MAX_WAIT,
    retry: UNTIL_DONE,
  }).compensate;
}

/** What the schedule asks for. Where it stops, the next run goes on. */
export const rounds = proxyActivities<Pick<Activities, 'reconcile' | 'checkpointTrails' | 'purge'>>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '30s',
  retry: BRIEFLY,
});
