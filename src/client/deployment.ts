/** Versions of the workers of a deployment, as the Temporal server keeps them: which one new tasks go to, and moving that on. */
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Client } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { causes, grpcCode } from './connection.js';

export interface DeploymentVersion {
  readonly buildId: string;
  /** `draining`: workflows are still pinned to it. `drained`: its workers can be stopped. */
  readonly status: 'inactive' | 'current' | 'ramping' | 'draining' | 'drained' | 'unknown';
}

export interface DeploymentView {
  readonly name: string;
  /** Whose workers get new tasks; undefined where no version was made current yet. */
  readonly current: string | undefined;
  readonly versions: readonly DeploymentVersion[];
}

/** Undefined where the server does not know the deployment: no worker of it has polled yet. @throws CountersignError */
export async function describeDeployment(client: ServedClient, name: string): Promise<DeploymentView | undefined> {
  const { namespace } = client.options;
  try {
    const { workerDeploymentInfo: info } = await client.workflowService.describeWorkerDeployment({
      namespace,
      deploymentName: name,
    });
    const current = info?.routingConfig?.currentDeploymentVersion?.buildId;
    return {
      name,
      current: current === '' || current == null ? undefined : current,
      versions: (info?.versionSummaries ?? []).map(({ deploymentVersion, status: code }) => ({
        buildId: deploymentVersion?.buildId ?? '',
        status: STATUSES[Number(code)] ?? 'unknown',
      })),
    };
  } catch (error) {
    if (grpcCode(error) === status.NOT_FOUND) return undefined;
    throw refused(name, error);
  }
}

/** `temporal.api.enums.v1.WorkerDeploymentVersionStatus`, by its numbers. */
const STATUSES: readonly DeploymentVersion['status'][] = [
  'unknown',
  'inactive',
  'current',
  'ramping',
  'draining',
  'drained',
];

/** What is asked of a client: workers have one over a connection of their own kind. */
type ServedClient = Pick<Client, 'workflowService' | 'options'>;

/** The server hears of each task queue that a version polls a while after its workers have started: so long it is asked again. Milliseconds. */
const HEARD_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 500;

/**
 * Has new tasks go to the workers of this version: those of new workflows, and those of open ones that move on with every upgrade. Waits up
 * to 30 seconds for the server to have heard of all that the version's workers poll.
 *
 * @throws CountersignError NOT_FOUND where no worker of the version has polled; CONFIG_INVALID where one of its task queues has no worker
 *   of the version, or the server knows no deployments
 */
export async function promote(client: ServedClient, name: string, buildId: string): Promise<void> {
  const deadline = performance.now() + HEARD_WITHIN_MS;
  for (;;) {
    try {
      await client.workflowService.setWorkerDeploymentCurrentVersion({
        namespace: client.options.namespace,
        deploymentName: name,
        buildId,
        identity: 'countersign',
      });
      return;
    } catch (error) {
      const code = grpcCode(error);
      if (code === status.NOT_FOUND) throw notPolled(name, buildId, error);
      if (code !== status.FAILED_PRECONDITION || performance.now() > deadline) throw refused(name, error);
      await delay(ASK_AGAIN_MS);
    }
  }
}

function notPolled(name: string, buildId: string, cause: unknown): CountersignError {
  return new CountersignError('NOT_FOUND', `No worker of the version ${buildId} of ${name} has polled yet.`, {
    field: 'buildId',
    expected: 'a version that `countersign deployment show` lists',
    fix: 'Start its workers first, and then promote it.',
    cause,
  });
}

function refused(name: string, error: unknown): CountersignError {
  const code = grpcCode(error);
  const said = causes(error).at(-1)?.message ?? '';
  if (code === status.UNIMPLEMENTED) {
    return new CountersignError('CONFIG_INVALID', `The Temporal server knows no worker deployments: ${said}`, {
      field: 'deployment',
      expected: 'Temporal 1.28 or later',
      fix: 'Upgrade the server, or leave `deployment` and COUNTERSIGN_DEPLOYMENT out.',
      cause: error,
    });
  }
  if (code === status.FAILED_PRECONDITION || code === status.INVALID_ARGUMENT) {
    return new CountersignError('CONFIG_INVALID', `The deployment ${name} cannot be changed so: ${said}`, {
      field: 'deployment',
      fix: 'Start workers of the version on every task queue that the current one has, and try again.',
      cause: error,
    });
  }
  return asCountersignError(error, 'TEMPORAL_UNAVAILABLE');
}
