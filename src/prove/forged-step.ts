/**
 * What somebody does who has full access to Temporal, and no key: a workflow of their own, whose only step is an activity on the workers' task
 * queue, with whatever arguments they please.
 */
import { randomUUID } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { TemporalSettings } from '../environment.js';

type Command = NonNullable<
  Parameters<Connection['workflowService']['respondWorkflowTaskCompleted']>[0]['commands']
>[number];

/** Of `temporal.api.enums.v1.CommandType`: the package that has the enum is not ours to import. */
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment
const SCHEDULE_ACTIVITY_TASK = 1 as NonNullable<Command['commandType']>;

/** How long a forged step may take, milliseconds. */
const STEP_MS = 8_000;

interface ForgedStep {
  readonly workflowId: string;
  /** The name of the activity. */
  readonly activity: string;
  /** As they stand in histories: encrypted where those are. */
  readonly args: readonly Payload[];
}

type Forging = Pick<TemporalSettings, 'namespace' | 'taskQueue'>;

/** Returns what the step answered, or the message of its failure. @throws when Temporal is away, or the workflow id is taken */
export async function forgeStep(
  connection: Connection,
  { namespace, taskQueue }: Forging,
  { workflowId, activity, args }: ForgedStep,
): Promise<Payload | string> {
  const service = connection.workflowService;
  const queue = { name: `forger-${randomUUID()}` };
  // A poll without a deadline is refused.
  const poll = () =>
    connection.withDeadline(Date.now() + 2 * STEP_MS, () =>
      service.pollWorkflowTaskQueue({ namespace, taskQueue: queue, identity: 'forger' }),
    );
  await service.startWorkflowExecution({
    namespace,
    workflowId,
    workflowType: { name: 'forged' },
    taskQueue: queue,
    requestId: randomUUID(),
    workflowRunTimeout: msToTs(60_000),
  });
  try {
    const first = await poll();
    await service.respondWorkflowTaskCompleted({
      namespace,
      taskToken: first.taskToken,
      identity: 'forger',
      commands: [
        {
          commandType: SCHEDULE_ACTIVITY_TASK,
          scheduleActivityTaskCommandAttributes: {
            activityId: '1',
            activityType: { name: activity },
            taskQueue: { name: taskQueue },
            input: { payloads: [...args] },
            scheduleToCloseTimeout: msToTs(STEP_MS),
            startToCloseTimeout: msToTs(STEP_MS),
            heartbeatTimeout: msToTs(STEP_MS),
            retryPolicy: { maximumAttempts: 1 },
          },
        },
      ],
    });
    const second = await poll();
    const last = second.history?.events?.findLast(
      (event) =>
        event.activityTaskCompletedEventAttributes ??
        event.activityTaskFailedEventAttributes ??
        event.activityTaskTimedOutEventAttributes,
    );
    const result = last?.activityTaskCompletedEventAttributes?.result?.payloads?.[0];
    return result ?? last?.activityTaskFailedEventAttributes?.failure?.message ?? 'no answer';
  } finally {
    await service
      .terminateWorkflowExecution({ namespace, workflowExecution: { workflowId }, reason: 'the forger has left' })
      .catch(() => {});
  }
}

/** An argument that nobody encrypted. */
export function plainPayload(value: unknown): Payload {
  return defaultPayloadConverter.toPayload(value);
}
