/** The activities as the workflow schedules them: what runs where, how long it may take and how often it is tried. */
import { proxyActivities, proxyLocalActivities, type RetryPolicy } from '@temporalio/workflow';
import type { EffectOptions, Steps } from '../activities/contract.js';

/** Quick retries for a connection that blinks. What lasts longer is refused (before the effect) or waited out (after it). */
const BRIEFLY: RetryPolicy = { initialInterval: '100ms', backoffCoefficient: 3, maximumAttempts: 4 };

/** After the effect nothing may be lost: tried until it is recorded. */
const UNTIL_DONE: RetryPolicy = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' };

/** A worker that stops heartbeating is taken for dead after this, and the effect is taken up by another. */
const HEARTBEAT = '5s';

/** How long a tool's system is waited for after an effect, before the outcome is settled as unknown. */
const READING_PATIENCE = '15 minutes';

/** Steps in the worker that runs the workflow: no task is queued, and they cost one event each. */
export const local = proxyLocalActivities<Pick<Steps, 'prepare' | 'conclude' | 'checkApproval'>>({
  startToCloseTimeout: '20s',
  retry: BRIEFLY,
});

/**
 * A person's decision. Several may come at once: checked by local activities, they would come back in another order on replay than
 * they did at first, and no worker could go on with the action.
 */
export const people = proxyActivities<Pick<Steps, 'checkApproval'>>({ startToCloseTimeout: '20s', retry: BRIEFLY });

/** What people and late callers ask for: no part of an action, so it is tried for a while only. */
export const aside = proxyActivities<Pick<Steps, 'fulfil' | 'recordedOutcome'>>({
  startToCloseTimeout: '10s',
  retry: BRIEFLY,
});

/** Asked for as long as it takes: a saga that does not know how a step stands can do nothing else. */
export const patient = proxyActivities<Pick<Steps, 'standing'>>({ startToCloseTimeout: '10s', retry: UNTIL_DONE });

/** How long the system is waited for in which something is to be undone, before a person has to decide. */
const UNDOING_PATIENCE = '15 minutes';

export function undoing(taskQueue: string | undefined): Steps['compensate'] {
  return proxyActivities<Steps>({
    ...(taskQueue === undefined ? {} : { taskQueue }),
    startToCloseTimeout: '60s',
    heartbeatTimeout: HEARTBEAT,
    scheduleToCloseTimeout: UNDOING_PATIENCE,
    retry: UNTIL_DONE,
  }).compensate;
}

/** What the schedule asks for. Where it stops, the next run goes on. */
export const rounds = proxyActivities<Pick<Steps, 'reconcile'>>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '30s',
  retry: BRIEFLY,
});

/** `prepare` where the tool has its own workers. */
export function remotePrepare(taskQueue: string): Steps['prepare'] {
  return proxyActivities<Steps>({ taskQueue, startToCloseTimeout: '60s', retry: BRIEFLY }).prepare;
}

/** `conclude` when it takes longer than a workflow task should, or when the ledger or the tool's system is away. */
export function durableConclude(taskQueue: string | undefined, options: { patient: boolean }): Steps['conclude'] {
  return proxyActivities<Steps>({
    ...(taskQueue === undefined ? {} : { taskQueue }),
    startToCloseTimeout: '11 minutes',
    heartbeatTimeout: HEARTBEAT,
    retry: UNTIL_DONE,
    ...(options.patient ? {} : { scheduleToCloseTimeout: READING_PATIENCE }),
  }).conclude;
}

/** What an effect's activity may take beyond the effect itself, to conclude. */
const CONCLUDING_MS = 15_000;

/** The effect: always a regular activity, so that it never runs without a trace. */
export function effect(taskQueue: string | undefined, options: EffectOptions, summary: string): Steps['execute'] {
  return proxyActivities<Steps>({
    ...(taskQueue === undefined ? {} : { taskQueue }),
    summary,
    startToCloseTimeout: options.timeoutMs + CONCLUDING_MS,
    heartbeatTimeout: HEARTBEAT,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 6 },
  }).execute;
}
