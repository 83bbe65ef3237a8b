/** Every workflow that a Countersign worker runs. */
export { compensation } from './compensation.js';
export { notification } from './notification.js';
export { reconcile } from './reconcile.js';
export { recordedOutcome } from './recorded-outcome.js';
export { resolution } from './resolution.js';
export { saga } from './saga.js';
export { signedCommand } from './signed-command.js';
export { trustedAction } from './trusted-action.js';
