/** Grants, each used once. */
export type { GrantHolder, GrantUse, SendCount, SendRefusal, UseGrantRequest } from './grant-use.js';
