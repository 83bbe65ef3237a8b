/** How an action ends, and what is seen of it before. */
import type { ActionType, Decision, Facts, Preview, Requirement } from './decision.js';
import type { ErrorView } from './errors.js';
import type { Digest, Json } from './json.js';
import type { Proposal } from './proposal.js';
import type { Delta, Snapshot } from './snapshot.js';

export const OUTCOME_STATUSES = ['success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** One thing that was checked after the effect. */
export interface Check {
  /** `expect`, `derived`, `frame.rows`, `frame.columns`, `constraint.<name>` … */
  readonly name: string;
  readonly ok: boolean;
  /** What differs, when it does. */
  readonly detail?: string;
}

export interface ApprovalRecord {
  readonly approver: string;
  readonly roles: readonly string[];
  readonly verdict: 'approve' | 'deny';
  readonly reason?: string;
  /** When the approver signed, RFC 3339 UTC. */
  readonly at: string;
  /** Digest of the signed approval itself. */
  readonly digest: Digest;
}

/** A person's word on an effect that could not be known. */
export interface Resolution {
  readonly verdict: 'happened' | 'did_not_happen';
  /** How the person knows. */
  readonly evidence: string;
  readonly by: string;
  readonly roles: readonly string[];
  /** When the person signed, RFC 3339 UTC. */
  readonly at: string;
  /** Digest of the signed statement itself. */
  readonly digest: Digest;
}

export interface ReceiptRef {
  readonly tenant: string;
  readonly seq: number;
  readonly hash: Digest;
}

/** What became of undoing an action, as far as it was known when its outcome was told. `needs_person`: it failed, and somebody must decide. */
export interface CompensationRef {
  /** Of the action that undid it, or tried to. Absent when it did not come to one. */
  readonly actionId?: string;
  readonly status: 'running' | CompensationStatus | 'needs_person';
}

/** `nothing`: there was nothing to undo; `accepted`: it could not be undone, and a person left it at that. */
export type CompensationStatus = 'success' | 'nothing' | 'accepted';

export const STEPS = ['propose', 'enforce', 'capture', 'authorize', 'execute', 'recapture', 'verify'] as const;
export type Step = (typeof STEPS)[number];

/** How long each step took, milliseconds. Steps that do not depend on each other overlap. */
export type StepTimings = { readonly [step in Step]?: number };

export interface Outcome {
  readonly status: OutcomeStatus;
  /** One sentence for people and agents. */
  readonly reason: string;
  /** Why, when the status is not `success`: a stable code with field, expected and fix. */
  readonly error?: ErrorView;
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly tool: string;
  /** What the decision was made on; absent when the proposal never got that far. */
  readonly facts?: Facts;
  readonly decision?: Decision;
  readonly approvals: readonly ApprovalRecord[];
  readonly pre?: Snapshot;
  readonly post?: Snapshot;
  readonly delta?: Delta;
  readonly checks: readonly Check[];
  /** What the tool returned. Kept as the tool's word, not as evidence. */
  readonly result?: Json;
  /** Set when the outcome was `unknown` until a person resolved it. */
  readonly resolution?: Resolution;
  /** Set where a mismatch is compensated. Told with the outcome, not part of the record: the receipt was written before. */
  readonly compensation?: CompensationRef;
  /** Absent only when the action never got a verified tenant, or the ledger could not be reached yet. */
  readonly receipt?: ReceiptRef;
  readonly steps: StepTimings;
}

/** Exactly what a person is asked to approve. Its digest is what they sign. It holds no time, so that the same facts give the same digest. */
export interface Shown {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposal: Proposal;
  readonly proposalDigest: Digest;
  readonly agent: { readonly id: string; readonly roles: readonly string[]; readonly owner?: string | undefined };
  readonly tool: { readonly name: string; readonly kind: string; readonly environment: string };
  readonly actionType: ActionType;
  readonly operation: string;
  readonly preview: Preview;
  readonly preDigest: Digest;
  readonly requirements: readonly Requirement[];
}

export type Phase = 'preparing' | 'queued' | 'pending' | 'executing' | 'concluding' | 'ended';

/** The answer to the query `view`. */
export interface ActionView {
  readonly phase: Phase;
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly tool: string;
  readonly pending?: PendingView;
  readonly approvals: readonly ApprovalRecord[];
  /** Approvals that came and were refused, newest last, at most 20. */
  readonly refusedApprovals: readonly ErrorView[];
  readonly cancelRequested: boolean;
  readonly outcome?: Outcome;
}

export interface PendingView {
  readonly shown: Shown;
  readonly shownDigest: Digest;
  readonly decision: Decision;
  /** RFC 3339 UTC. */
  readonly expiresAt: string;
}

/** What the update `outcome` answers: the outcome, or that people are needed first. */
export type OutcomeReply =
  { readonly kind: 'outcome'; readonly outcome: Outcome } | { readonly kind: 'pending'; readonly pending: PendingView };

/** What the update `decide` answers. */
export interface DecideReply {
  readonly recorded: ApprovalRecord;
  readonly state: 'waiting' | 'approved' | 'denied';
}
