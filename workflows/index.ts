/** Every workflow that a Countersign worker runs. */
export { batch } from './batch.js';
export { compensation } from './compensation.js';
export { dryRun } from './dry-run.js';
export { notification } from './notification.js';
export { reconcile } from './reconcile.js';
export { recordedOutcome } from './recorded-outcome.js';
export { resolution } from './resolution.js';
export { saga } from './saga.js';
export { signedCommand } from './signed-command.js';
export { trustedAction } from './trusted-action.js';

/**
 * The SDK takes a stack trace for every promise that workflow code makes, which was a tenth of what an action costs; errors keep their
 * innermost frames. Where the bundle is not preloaded, `Error` is frozen by now, and everything stays as it is.
 */
Reflect.set(Error, 'stackTraceLimit', 3);
