/** Every workflow that a Countersign worker runs. */
import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';
import { batch } from './batch.js';
import { canary } from './canary.js';
import { canaryRound } from './canary-round.js';
import { checkpointTrails } from './checkpoint-trails.js';
import { compensation } from './compensation.js';
import { dryRun } from './dry-run.js';
import { ledgerAlarm } from './ledger-alarm.js';
import { notification } from './notification.js';
import { reconcile } from './reconcile.js';
import { recordedOutcome } from './recorded-outcome.js';
import { resolution } from './resolution.js';
import { retention } from './retention.js';
import { saga } from './saga.js';
import { signedCommand } from './signed-command.js';
import { trustedAction } from './trusted-action.js';

/**
 * Where workers are versioned, the short ones end on the version that they began on; for the others the workers' default holds, which lets
 * them move on. A worker that is not versioned must not speak of it: the server would fail its tasks.
 */
const pinned = (): { versioningBehavior?: 'PINNED' } => {
  const { deploymentName = '' } = workflowInfo().currentDeploymentVersion ?? {};
  return deploymentName === '' ? {} : { versioningBehavior: 'PINNED' };
};
setWorkflowOptions(pinned, batch);
setWorkflowOptions(pinned, canaryRound);
setWorkflowOptions(pinned, checkpointTrails);
setWorkflowOptions(pinned, dryRun);
setWorkflowOptions(pinned, reconcile);
setWorkflowOptions(pinned, recordedOutcome);
setWorkflowOptions(pinned, retention);
setWorkflowOptions(pinned, signedCommand);

export {
  batch,
  canary,
  canaryRound,
  checkpointTrails,
  compensation,
  dryRun,
  ledgerAlarm,
  notification,
  reconcile,
  recordedOutcome,
  resolution,
  retention,
  saga,
  signedCommand,
  trustedAction,
};

/**
 * The SDK takes a stack trace for every promise that workflow code makes, and looks each frame up in the source map, which was a tenth of
 * what an action costs; errors keep their innermost frame. Where the bundle is not preloaded, `Error` is frozen by now, and everything stays as it is.
 */
Reflect.set(Error, 'stackTraceLimit', 1);
