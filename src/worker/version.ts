/** The version of a worker: which deployment it belongs to, and which workflow code it has. */
import type { WorkerDeploymentVersion } from '@temporalio/common';
import type { WorkerDeploymentOptions } from '@temporalio/worker';
import type { CountersignConfig, DeploymentConfig } from '../config/config.js';

/** @param digested what it is called where nobody named it */
export function versionOf(
  { deployment, config }: { readonly deployment?: DeploymentConfig; readonly config: CountersignConfig },
  digested: string,
): WorkerDeploymentVersion | undefined {
  const { name, buildId = digested } = deployment ?? config.deployment ?? {};
  return name === undefined ? undefined : { deploymentName: name, buildId };
}

/** The default is for what may wait: short workflows are pinned by their own code. */
export function versioningOf(version: WorkerDeploymentVersion): WorkerDeploymentOptions {
  return { version, useWorkerVersioning: true, defaultVersioningBehavior: 'AUTO_UPGRADE' };
}
