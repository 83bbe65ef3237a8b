/** How policies are rolled out: the states of bundles, their history, the evidence, and which worker runs what. */
export { Rollout } from './rollout.js';
export type { PolicyApproval } from './approvals.js';
export type { ChangeRequest } from './changes.js';
export { divergenceKey, type CountedDivergence, type ShadowBatch } from './divergences.js';
export { changeOfReceiptId, policyReceiptId } from './shown-changes.js';
export { REPORT_EVERY_SECONDS, type WorkerReport } from './workers.js';
