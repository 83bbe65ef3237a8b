/** The ledger: what must outlive any worker and any workflow history. */
export { Ledger } from './ledger.js';
export type { LedgerOptions } from './database.js';
export { undoes } from './freezes.js';
export * from './port.js';
