/** What the radar found, and how it stands. */
export type { EffectClaim, EffectStanding } from './radar.js';
