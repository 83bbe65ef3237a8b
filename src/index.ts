/** `countersign`: what agent code imports. */
export {
  Countersign,
  type ConnectOptions,
  type PendingAction,
  type PerformOptions,
  type ProposalInput,
} from './client/countersign.js';
export { CountersignError, ERROR_CODES, type ErrorCode, type ErrorView } from './action/errors.js';
export type { Proposal, Expect } from './action/proposal.js';
export type * from './action/decision.js';
export type * from './action/outcome.js';
export type * from './action/snapshot.js';
export type { Digest, Json, JsonObject } from './action/json.js';
