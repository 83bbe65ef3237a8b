/** What can be asked of a Temporal server about its readiness for Countersign. */
import type { Client } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';

/** A worker's long poll lasts a minute: one that was not heard of for longer than this is gone. Milliseconds. */
const POLL_MS = 90_000;

/** Which of these search attributes the namespace does not know. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function missingAttributes(
  client: Client,
  namespace: string,
  names: readonly string[],
): Promise<string[]> {
  const known = await ask(async () => {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
    return new Set(Object.keys(customAttributes ?? {}));
  });
  return names.filter((name) => !known.has(name));
}

/** How many workers poll the task queue for workflows now. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function pollers(client: Client, namespace: string, taskQueue: string, now = Date.now()): Promise<number> {
  return ask(async () => {
    const { pollers } = await client.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
    });
    const heard = (pollers ?? []).filter(
      ({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLL_MS,
    );
    return new Set(heard.map(({ identity }) => identity)).size;
  });
}

/** `temporal.api.enums.v1.TaskQueueType`: a worker that only touches tools polls for activities alone. */
const WORKFLOW = 1;
const ACTIVITY = 2;
/** `DescribeTaskQueueMode` 1, enhanced: the other one sees the pollers of one partition of the queue only. */
const EVERY_PARTITION = { apiMode: 1, taskQueueTypes: [WORKFLOW, ACTIVITY], reportPollers: true };

/** Whether a worker on the machine `host` polls the task queue now. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function pollsFrom(
  host: string,
  client: Client,
  namespace: string,
  taskQueue: string,
  now = Date.now(),
): Promise<boolean> {
  return ask(async () => {
    const { versionsInfo } = await client.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the SDK exports no such enums
      ...EVERY_PARTITION,
    });
    // The SDK identifies a worker as pid@host.
    return Object.values(versionsInfo ?? {})
      .flatMap(({ typesInfo }) => Object.values(typesInfo ?? {}).flatMap(({ pollers }) => pollers ?? []))
      .some(
        ({ identity, lastAccessTime }) =>
          identity?.endsWith(`@${host}`) && now - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLL_MS,
      );
  });
}

async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new CountersignError(
      'TEMPORAL_UNAVAILABLE',
      `Temporal did not answer: ${asCountersignError(error).message}`,
      {
        field: 'TEMPORAL_NAMESPACE',
        expected: 'a namespace that exists and that you may read',
        fix: 'Check TEMPORAL_NAMESPACE.',
        cause: error,
      },
    );
  }
}
