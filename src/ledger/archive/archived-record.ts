/** All that the ledger records of one action. */
import type { ApprovalRequest } from '../../action/approval-request.js';
import type { Delivery } from '../../action/delivery.js';
import type { Hold } from '../../action/hold.js';
import type { Digest } from '../../action/json.js';
import type { ApprovalRecord, Outcome } from '../../action/outcome.js';
import type { Proposal } from '../../action/proposal.js';
import type { ArchivedAction } from './search.js';

/** A decision that verified, also one about something shown before, or refused because it came too fast. */
export interface ArchivedDecision extends ApprovalRecord {
  readonly shownDigest: Digest;
  readonly decidedAt: string;
  /** As in `RecordedDecision`. */
  readonly priorApprovals: number;
  readonly refused: boolean;
}

/** A receipt that says how the action ended. */
export interface SettlingReceipt {
  readonly seq: number;
  readonly hash: Digest;
  readonly at: string;
}

export interface ArchivedRecord extends ArchivedAction {
  readonly proposalDigest: Digest;
  readonly outcome?: Outcome;
  /** As the ledger keeps it of an action that has ended. Absent of one that is open, and where what is kept does not have the digest. */
  readonly proposal?: Proposal;
  /** What it was before a person resolved it. */
  readonly previously?: Outcome;
  readonly approvalRequest?: ApprovalRequest;
  /** Oldest first. */
  readonly decisions: readonly ArchivedDecision[];
  readonly deliveries: readonly Delivery[];
  readonly holds: readonly Hold[];
  /** Oldest first: one, or two where it was resolved. */
  readonly receipts: readonly SettlingReceipt[];
  /** The action that this one was proposed instead of, and those proposed instead of this one; of actions that people were asked about. */
  readonly revises?: string;
  readonly revisedBy: readonly string[];
  /** The action that this one undoes, and those that undid or tried to undo this one. */
  readonly undoes?: string;
  readonly undoneBy: readonly string[];
}
