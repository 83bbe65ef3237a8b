/** Exits with 0 when the worker on this machine polls its task queue for workflows, as the Temporal server sees it. */
import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';

/** `temporal.api.enums.v1.TaskQueueType`. */
const WORKFLOW = 1;
/** `DescribeTaskQueueMode` 1, enhanced: the other one sees the pollers of one partition of the queue only. */
const everyPartition = { apiMode: 1, taskQueueTypes: [WORKFLOW], reportPollers: true };

const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, COUNTERSIGN_TASK_QUEUE } = process.env;
const namespace = TEMPORAL_NAMESPACE || 'default';
const name = COUNTERSIGN_TASK_QUEUE || 'countersign';

const connection = await Connection.connect({ address: TEMPORAL_ADDRESS || '127.0.0.1:7233', connectTimeout: '5s' });
const { versionsInfo } = await connection.workflowService.describeTaskQueue({
  namespace,
  taskQueue: { name },
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the SDK exports no such enums
  ...everyPartition,
});
await connection.close();

// The SDK identifies a worker as pid@host. A poll lasts at most 70 s, and the server remembers pollers for minutes.
const polls = Object.values(versionsInfo ?? {})
  .flatMap(({ typesInfo }) => typesInfo?.[WORKFLOW]?.pollers ?? [])
  .some(
    ({ identity, lastAccessTime }) =>
      identity?.endsWith(`@${hostname()}`) && Date.now() / 1000 - Number(lastAccessTime?.seconds ?? 0) < 90,
  );
if (!polls) {
  process.stderr.write(`No worker on ${hostname()} polls ${name} in namespace ${namespace}.\n`);
  process.exitCode = 1;
}
