/** What the radar found, and how it stands. */
export type { EffectStanding, RadarLease, RadarReport } from './radar.js';
