/** Limits: what limits.yaml declares, what an action needs of it, and what follows from the state of the counters. */
export { atLimits } from './at-limits.js';
export { besideOthers } from './beside.js';
export { heldInAdvance, standingLimits } from './caps.js';
export { counterFigure, limitText } from './counters.js';
export { figuresOf } from './figures.js';
export { parseLimits } from './read.js';
export type { LimitedProposal } from './reading.js';
export { NO_LIMITS_APPLY, resolveLimits } from './resolve.js';
export type { AtLimit, AtLimits, Measured, ResolvedLimit, ResolvedLimits } from './resolved.js';
export { settledAmounts } from './settle.js';
