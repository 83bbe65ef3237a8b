/** A signed statement of an outcome, linked by hash to the receipt before it in the tenant's chain. */
import type { Digest } from './json.js';
import type { OutcomeStatus } from './outcome-status.js';
import type { ActionType, DecisionEffect } from './decision.js';
import type { StepDigest } from './step-digest.js';

/** The chain of receipts for refusals whose tenant could not be verified: a forger must not write into a real tenant's chain. */
export const UNAUTHENTICATED = '_unauthenticated';

/** The claims of the receipt's JWS. */
export interface ReceiptClaims {
  readonly v: 1;
  readonly tenant: string;
  /** 1, 2, 3 … without a gap. */
  readonly seq: number;
  /** Hash (SHA-256 of the compact JWS) of the receipt before; null for the first. */
  readonly prev: Digest | null;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly status: OutcomeStatus;
  readonly reason: string;
  readonly code?: string | undefined;
  readonly agent?: string | undefined;
  readonly tool: string;
  readonly environment?: string | undefined;
  readonly actionType?: ActionType | undefined;
  readonly effect?: DecisionEffect | undefined;
  readonly policyDigest?: Digest | undefined;
  readonly approvals: readonly Digest[];
  readonly grant?: string | undefined;
  /** Set when the action undid another: that one's id and the hash of its receipt. */
  readonly cause?: { readonly actionId: string; readonly receipt: Digest } | undefined;
  readonly preDigest?: Digest | undefined;
  readonly postDigest?: Digest | undefined;
  /** The records that the action's steps sealed, in their order, as far as it came. */
  readonly records?: readonly StepDigest[] | undefined;
  /** Over the recorded outcome without its receipt reference: an edited outcome does not match. */
  readonly outcomeDigest: Digest;
  /** Seconds since the epoch. */
  readonly iat: number;
}
