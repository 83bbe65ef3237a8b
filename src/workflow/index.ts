/** `countersign/workflow`: what workflows of one's own import. No zod and nothing of Node's: it goes into their bundle. */
export {
  proxyTrustedActions,
  type ModelAnswer,
  type ToolProposal,
  type TrustedActions,
  type TrustedActionsOptions,
} from './trusted-actions.js';
export type { Proposal } from '../action/proposal.js';
export type { Outcome } from '../action/outcome.js';
export type { WaitsFor } from '../action/saga.js';
