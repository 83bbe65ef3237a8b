/** Controls: freezes, revocations, nonces. */
export { Controls } from './controls.js';
export type { FreezeRequest } from './freezes.js';
