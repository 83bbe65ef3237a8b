/** Every workflow that a Countersign worker runs. */
export { trustedAction } from './trusted-action.js';
