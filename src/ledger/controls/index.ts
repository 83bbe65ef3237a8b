/** Controls: freezes, revocations, nonces. */
export { Controls } from './controls.js';
export type { FreezeRequest, LiftRequest } from './freezes.js';
export { Nonces, type UseNonceRequest } from './nonces.js';
export type { RevokeRequest } from './revocations.js';
