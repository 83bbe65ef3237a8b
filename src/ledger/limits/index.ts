/** Limits: their counters, and what actions have reserved of them. */
export { Limits } from './limits.js';
