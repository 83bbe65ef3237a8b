/** What the radar found, and how it stands. */
export type { EffectStanding } from './radar.js';
