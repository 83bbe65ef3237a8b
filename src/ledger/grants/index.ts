/** Grants, each used once. */
export type { GrantUse, SendCount, UseGrantRequest } from './grant-use.js';
