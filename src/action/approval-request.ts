/** An approval request: what people are asked about an action, and what they said so far. */
import type { ActionType, Decision, Requirement } from './decision.js';
import type { Digest } from './json.js';
import type { ApprovalRecord, Shown } from './outcome.js';

/** By the ledger's clock, RFC 3339 UTC. */
export interface ApprovalRequestTimes {
  /** Kept when the action is shown anew: escalations go by it. */
  readonly firstAskedAt: string;
  /** When this was shown. */
  readonly askedAt: string;
  readonly expiresAt: string;
}

/** A role whose members may decide: at once, or from some time after people were first asked. */
export interface ApproverRole {
  readonly role: string;
  /** Absent: at once. */
  readonly afterSeconds?: number;
}

/** A request as lists show it. */
export interface ListedApprovalRequest extends ApprovalRequestTimes {
  readonly tenant: string;
  readonly actionId: string;
  readonly shownDigest: Digest;
  readonly policyDigest: Digest;
  readonly environment: string;
  readonly tool: string;
  readonly operation: string;
  readonly actionType: ActionType;
  readonly agent: string;
  readonly via: readonly string[];
  /** All that may decide, each once with its earliest time. */
  readonly roles: readonly ApproverRole[];
  /** What `progress` needs beside the decisions. */
  readonly requirements: readonly Requirement[];
  /** The preview's. */
  readonly summary: string;
  /** Of the decision that asks for people. */
  readonly reason: string;
  /** The action that this one is proposed instead of. */
  readonly revises?: string;
  /** What was given when it was opened, then what was decided since on exactly this (`shownDigest`), oldest first, once for each person and verdict. */
  readonly decisions: readonly ApprovalRecord[];
}

/** A request with everything that is shown. */
export interface ApprovalRequest extends ListedApprovalRequest {
  readonly shown: Shown;
  readonly decision: Decision;
  /** When it was answered or its action ended. Absent while it waits. */
  readonly closedAt?: string;
}
