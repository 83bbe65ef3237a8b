/** Grants, each used once. */
export type { UseGrantRequest } from './grant-use.js';
