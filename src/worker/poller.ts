/** Makes the poller of a worker: which activities it takes, how many at once, and as which version. */
import type { WorkerDeploymentVersion } from '@temporalio/common';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Activities } from '../../activities/contract.js';
import { CountersignError } from '../action/errors.js';
import type { TemporalSettings } from '../environment.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import type { Keyring } from '../trust/index.js';
import { buildIdOf, workflowCode } from './bundle.js';
import { stepTelemetry, type Watching } from './step-telemetry.js';
import { versioningOf } from './version.js';

interface Making {
  readonly codePath: string;
  readonly version: WorkerDeploymentVersion | undefined;
  readonly decides: boolean;
  readonly concurrency: number;
  readonly watching: Watching;
  readonly encryption: PayloadEncryption;
}

export async function createWorker(
  connection: NativeConnection,
  { namespace, taskQueue }: TemporalSettings,
  activities: Activities,
  { codePath, version, decides, concurrency, watching, encryption }: Making,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace,
    taskQueue,
    dataConverter: encryption.worker,
    ...(decides ? { workflowBundle: { code: await workflowCode(codePath, encryption.on) } } : {}),
    ...(version === undefined
      ? { buildId: await buildIdOf(codePath) }
      : { workerDeploymentOptions: versioningOf(version) }),
    activities: decides ? { ...activities } : toolStepsOf(activities),
    interceptors: { activity: [stepTelemetry(watching)] },
    // Whoever waits for a turn keeps a place that is no other's.
    maxConcurrentLocalActivityExecutions: 2 * concurrency,
    maxConcurrentWorkflowTaskExecutions: 2 * concurrency,
    maxConcurrentActivityTaskExecutions: concurrency,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    // Cancellation reaches a running effect with the answer to a heartbeat, so heartbeats must not be held back for long.
    maxHeartbeatThrottleInterval: '500ms',
    defaultHeartbeatThrottleInterval: '500ms',
    shutdownGraceTime: '10s',
    // A killed worker's actions go to the others after this, not after the default of 10 s.
    stickyQueueScheduleToStartTimeout: '3s',
  });
}

/** What a worker does that touches the tools' systems and decides nothing. */
function toolStepsOf(all: Activities): object {
  const { propose, previewDryRun, previewCanary, capturePreState, execute, capturePostState } = all;
  return { propose, previewDryRun, previewCanary, capturePreState, execute, capturePostState };
}

/**
 * Whether this worker decides. One with the private `tool` key alone touches the tools' systems and nothing else: it seals no decision,
 * signs no grant and no receipt.
 *
 * @throws CountersignError KEYS_MISSING
 */
export function decidesWith({ sign }: Keyring): boolean {
  const decides = sign.grant !== undefined && sign.receipt !== undefined;
  if (sign.tool !== undefined && (decides || (sign.grant === undefined && sign.receipt === undefined))) return decides;
  throw new CountersignError('KEYS_MISSING', 'A worker needs the private grant, receipt and tool keys.', {
    field: 'keys',
    expected: 'private keys for grant, receipt and tool; for a worker that only touches tools: for tool alone',
    fix: 'Give COUNTERSIGN_KEYS or COUNTERSIGN_KEYS_FILE; `countersign keys extract --for worker` makes such a file.',
  });
}
