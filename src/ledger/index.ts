/** The ledger: what must outlive any worker and any workflow history. Each room has a narrow interface of its own. */
export { Ledger } from './ledger.js';
export * from './actions/index.js';
export * from './approvals/index.js';
export * from './archive/index.js';
export { CLOCK_OFF_MS, type LedgerClock } from './clock.js';
export * from './controls/index.js';
export { assertSetUp, Database, takesNobodys, type DatabaseOptions } from './database/index.js';
export * from './grants/index.js';
export * from './radar/index.js';
export * from './receipts/index.js';
export * from './retention/index.js';
export * from './rollout/index.js';
export * from './subjects/index.js';
export * from './trail/index.js';
export { workerName } from './worker-name.js';
