/** Grants, each used once. */
export { Grants } from './grants.js';
export type { GrantUse, ReturnGrantRequest, UseGrantRequest } from './grant-use.js';
