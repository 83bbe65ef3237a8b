/** Every workflow that a Countersign worker runs. */
export { reconcile } from './reconcile.js';
export { recordedOutcome } from './recorded-outcome.js';
export { statement } from './statement.js';
export { trustedAction } from './trusted-action.js';
