/** The audit trail as the ledger keeps it: entries, checkpoints, and where those were anchored. */
export type { StoredCheckpoint } from './trail.js';
