/** `countersign`: what agent code imports. */
export {
  Countersign,
  type BatchOptions,
  type ConnectOptions,
  type OverOptions,
  type PendingAction,
  type PerformOptions,
  type ProposalInput,
} from './client/countersign.js';
export { CountersignError, ERROR_CODES, type ErrorCode, type ErrorView } from './action/errors.js';
export type { Proposal, Expect, NamedExpect, Source } from './action/proposal.js';
export type * from './action/decision.js';
export type { NotBegun } from './action/batch.js';
export type { DryRun, DryRunPreview } from './action/dry-run.js';
export type * from './action/outcome.js';
export type * from './action/snapshot.js';
export type { CompensationView, SagaStatus, SagaStep, SagaView, WaitsFor } from './action/saga.js';
export type { BatchAnswer, BatchedAction, ActionUnderWay } from './client/batch.js';
export type { SagaInput, SagaResult } from './client/saga.js';
export type { Digest, Json, JsonObject } from './action/json.js';
export { payloadEncryption, type PayloadEncryption, type PayloadsConfig } from './privacy/data-converter.js';
export {
  delegate,
  encodeCredential,
  readCredential,
  signCommand,
  type Credential,
  type DelegateOptions,
  type CommandOptions,
} from './trust/index.js';
export type { CommandResult } from '../activities/contract.js';
