/** What the list of approval requests takes and gives. */
import type { ListedApprovalRequest } from '../../action/approval-request.js';
import type { Decision } from '../../action/decision.js';
import type { Digest } from '../../action/json.js';
import type { ApprovalRecord, DelegatedRole, Shown, Verdict } from '../../action/outcome.js';
import type { Auth } from '../../action/principal.js';

export interface NewApprovalRequest {
  readonly tenant: string;
  readonly actionId: string;
  readonly shown: Shown;
  /** Of `shown`. */
  readonly shownDigest: Digest;
  readonly decision: Decision;
  /** How long it waits from now. Default: the shortest that a requirement says. */
  readonly ttlSeconds?: number;
  /** What counts so far and does not suffice: given in advance, or decided and still good. Default none. */
  readonly given?: readonly ApprovalRecord[];
  /** All was looked at anew: of what was decided before, only `given` counts. Default false. */
  readonly renewed?: boolean;
  /** The agents that delegated to the one that asks. Default none. */
  readonly via?: readonly string[];
}

export interface ApprovalRequestFilter {
  readonly environment?: string;
  readonly tool?: string;
  readonly agent?: string;
  /** What anybody with one of these roles may decide by now. */
  readonly roles?: readonly string[];
  /** In the action's id, agent, tool, operation, summary or reason; without regard to case. */
  readonly text?: string;
}

export interface ApprovalRequestPage {
  /** Soonest to expire first. */
  readonly requests: readonly ListedApprovalRequest[];
  /** For the page after this one. Absent on the last. */
  readonly next?: string;
}

export interface ApprovalRequestCount {
  readonly count: number;
  /** There are more than `count`. */
  readonly more: boolean;
}

export interface PersonDecision {
  readonly tenant: string;
  readonly actionId: string;
  /** What the person was shown. */
  readonly shownDigest: Digest;
  readonly person: string;
  readonly verdict: Verdict;
  /** Of the signed decision: its identity here. */
  readonly digest: Digest;
  /** How far back the person's approvals are counted, in seconds. */
  readonly windowSeconds: number;
  /** An approval is over the approval rate limit when the person gave at least this many before it in the window. Default: never. */
  readonly overRateLimitFrom?: number;
  /** An approval is refused when the person gave at least this many before it in the window. Default: never. */
  readonly refusedFrom?: number;
  /** The rest of the `ApprovalRecord`, for lists and the archive. */
  readonly roles?: readonly string[];
  readonly reason?: string;
  /** When it was signed, RFC 3339 UTC. Default now. */
  readonly at?: string;
  readonly auth?: Auth;
  readonly passkey?: string;
  readonly delegatedRoles?: readonly DelegatedRole[];
  readonly self?: boolean;
}

/** What the ledger found when it first recorded a decision. Recording the decision again returns the same. */
export interface RecordedDecision {
  /** Seconds since the action's approval request was first opened; 0 when there never was one. */
  readonly waitedSeconds: number;
  /** How many other actions of the tenant this person approved in the window before. Refused approvals do not count. */
  readonly priorApprovals: number;
  readonly overRateLimit: boolean;
  /** Whether the decision was refused: the archive keeps it, but no list of decisions shows it. */
  readonly refused: boolean;
}
