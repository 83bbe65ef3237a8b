/** Grants, each used once. */
export type { SendCount, UseGrantRequest } from './grant-use.js';
