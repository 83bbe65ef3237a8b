/** The worker of the workflows that guard nothing, which the guarded ones are measured against. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import type { DevServers } from '../src/dev/index.js';

/** The task queue that it takes from. */
export const BARE = 'bare';

const here = path.dirname(fileURLToPath(import.meta.url));

/** `write` is the one thing that its workflows do. */
export async function startBareWorker(
  { temporal: { address, namespace } }: DevServers,
  write: (id: number, plan: string) => Promise<number | null>,
): Promise<{ stop(): Promise<void> }> {
  const connection = await NativeConnection.connect({ address });
  const quiet = (): void => {};
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: BARE,
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: path.join(here, 'compared-workflows.ts'),
      logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
    }),
    activities: { write, nothing: async () => {} },
    maxConcurrentActivityTaskExecutions: 50,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
  });
  const done = worker.run();
  return {
    async stop() {
      worker.shutdown();
      await done;
      await connection.close();
    },
  };
}
