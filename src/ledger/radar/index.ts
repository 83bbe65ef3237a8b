/** What the radar found, and how it stands. */
export { radarAlertId } from './alerts.js';
export type { EffectClaim, EffectStanding } from './effects.js';
