/** The audit trail as the ledger keeps it: entries, checkpoints, and where those were anchored. */
export { Trail } from './trail.js';
export type { EvidencedEntry, StoredCheckpoint, TrailEntry } from './trail.js';
