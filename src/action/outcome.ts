/** How an action ends, and what is seen of it before. */
import type { ActionType, Decision, Facts, Preview, Requirement } from './decision.js';
import type { ErrorView } from './errors.js';
import type { Digest, Json } from './json.js';
import type { OutcomeStatus } from './outcome-status.js';
import type { Auth } from './principal.js';
import type { Proposal } from './proposal.js';
import type { Delta, Snapshot } from './snapshot.js';

export { OUTCOME_STATUSES, type OutcomeStatus } from './outcome-status.js';

/** One thing that was checked after the effect. */
export interface Check {
  /** `expect`, `derived`, `frame.rows`, `frame.columns`, `constraint.<name>` … */
  readonly name: string;
  readonly ok: boolean;
  /** What differs, when it does. */
  readonly detail?: string;
}

/** `request_changes`: not like this; the agent may propose anew what it was told (`Proposal.revises`). */
export const VERDICTS = ['approve', 'deny', 'request_changes'] as const;
/** What a person says of an action that they are asked about. */
export type Verdict = (typeof VERDICTS)[number];

/** A person's decision on an action, after its signature was verified: what history and receipt say of it. */
export interface ApprovalRecord {
  readonly approver: string;
  /** Those of the credential, and those delegated by somebody else. */
  readonly roles: readonly string[];
  readonly verdict: Verdict;
  /** In the person's own words. */
  readonly reason?: string;
  /** When the approver signed, RFC 3339 UTC. */
  readonly at: string;
  /** Set where the approver changed the proposal instead of asking for it: the action that is done instead. */
  readonly edited?: { readonly actionId: string; /** As proposals are signed. */ readonly digest: Digest };
  /** Digest of the signed approval itself, or of the signed command that made the standing approval. */
  readonly digest: Digest;
  /** How the approver was known to a gateway. Absent where they signed with a key of their own. */
  readonly auth?: Auth;
  /** Id of the passkey that asserted what was shown. */
  readonly passkey?: string;
  /** Id of the standing approval that this is, rather than a decision about this action. */
  readonly standingApproval?: string;
  /** The roles that the approver has for somebody else only, and for whom: each is in `roles` too. */
  readonly delegatedRoles?: readonly DelegatedRole[];
  /** The approver answers for the agent: it counts only where the requirement lets such a person decide. */
  readonly self?: boolean;
  /** How long the action had been shown when this was checked, seconds by the ledger's clock: escalations go by it. */
  readonly waitedSeconds?: number;
  /** Given among too many in too short a time: it counts only beside one more person's than the quorum asks for. */
  readonly overRateLimit?: boolean;
}

/** A role that one person exercises for another. */
export interface DelegatedRole {
  readonly role: string;
  readonly from: string;
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
  /** Digest of the signed command itself. */
  readonly digest: Digest;
}

/** The place of a receipt in its tenant's chain. */
export interface ReceiptRef {
  readonly tenant: string;
  /** Its number in the chain: from 1, without gaps. */
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

/** The steps of an action, in order: each is an activity of this name. */
export const STEPS = [
  'propose',
  'enforce',
  'capturePreState',
  'requestApproval',
  'authorize',
  'execute',
  'capturePostState',
  'verify',
  'settle',
] as const;
/** The name of a step, which is also its activity's. */
export type Step = (typeof STEPS)[number];

/** How long each step took when it ran last, milliseconds. */
export type StepTimings = { readonly [step in Step]?: number };

/** `decided`: somebody decided it; `expired`: nobody did in time; `withdrawn`: it was cancelled before. */
export type CanaryEnding = 'decided' | 'expired' | 'withdrawn';

/** What people are told of a canary once it is over. */
export interface CanaryEnd {
  readonly ending: CanaryEnding;
  /** What they decided. Absent where nobody did. */
  readonly verdict?: Verdict;
  /** Why it should be refused. */
  readonly reason: string;
}

/** How an action ended, with what was decided on and what was observed. Its receipt signs the digest of what is recorded. */
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
  /** Who proposed it, where it ended before there were `facts` to say so. Absent where nobody could be verified. */
  readonly agent?: string;
  /** What the decision was made on; absent when the proposal never got that far. */
  readonly facts?: Facts;
  /** The last decision on it. Absent where it ended before policy was asked. */
  readonly decision?: Decision;
  readonly approvals: readonly ApprovalRecord[];
  /** The state before the effect. Absent where it ended before that was captured. */
  readonly pre?: Snapshot;
  /** The state after the effect. Absent where there was none to look at. */
  readonly post?: Snapshot;
  /** What changed from `pre` to `post`. Absent where either is. */
  readonly delta?: Delta;
  readonly checks: readonly Check[];
  /** What the tool returned. Kept as the tool's word, not as evidence. */
  readonly result?: Json;
  /** Set where a person changed the proposal: id of the action that is done instead, on the agent's behalf. */
  readonly revisedBy?: string;
  /** Set when the outcome was `unknown` until a person resolved it. */
  readonly resolution?: Resolution;
  /** Set where a mismatch is compensated. Told with the outcome, not part of the record: the receipt was written before. */
  readonly compensation?: CompensationRef;
  /** Set where values were redacted when it was recorded: the digest of the proposal as it is recorded with it. */
  readonly redacted?: { readonly proposal: Digest };
  /** Set where it was no action, but a canary: how that ended. On no receipt. */
  readonly canary?: CanaryEnd;
  /** Absent only when the action never got a verified tenant, or the ledger could not be reached yet. */
  readonly receipt?: ReceiptRef;
  readonly steps: StepTimings;
}

/** Whose action it is. Undefined where nobody could be verified. */
export function proposerOf({ facts, agent }: Pick<Outcome, 'facts' | 'agent'>): string | undefined {
  return facts?.agent.id ?? agent;
}

/** An outcome before its receipt: exactly what a receipt's `outcomeDigest` is over. */
export type UnreceiptedOutcome = Omit<Outcome, 'receipt'>;

/** Exactly what a person is asked to approve. Its digest is what they sign. It holds no time, so that the same facts give the same digest. */
export interface Shown {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposal: Proposal;
  readonly proposalDigest: Digest;
  readonly agent: {
    readonly id: string;
    readonly roles: readonly string[];
    /** The person who answers for the agent. Absent where its credential names nobody. */
    readonly owner?: string | undefined;
  };
  /** Who changed what the agent had proposed. */
  readonly editedBy?: string;
  readonly tool: { readonly name: string; readonly kind: string; readonly environment: string };
  readonly actionType: ActionType;
  readonly operation: string;
  readonly preview: Preview;
  readonly preDigest: Digest;
  readonly requirements: readonly Requirement[];
  /** Values are redacted in it, so the proposal is not the one that `proposalDigest` is over. */
  readonly redacted?: true;
}

/** Where an action stands: before its effect, waiting for room or for people, in its effect, after it. */
export type Phase = 'preparing' | 'queued' | 'pending' | 'executing' | 'verifying' | 'ended';

/** The answer to the query `view`. */
export interface ActionView {
  readonly phase: Phase;
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  readonly tool: string;
  /** What people are asked. Absent unless it waits for them. */
  readonly pending?: PendingView;
  readonly approvals: readonly ApprovalRecord[];
  /** Approvals that came and were refused, newest last, at most 20. */
  readonly refusedApprovals: readonly ErrorView[];
  readonly cancelRequested: boolean;
  /** Absent until it has ended. */
  readonly outcome?: Outcome;
}

/** What people are asked while an action waits for them. */
export interface PendingView {
  readonly shown: Shown;
  readonly shownDigest: Digest;
  readonly decision: Decision;
  /** RFC 3339 UTC. */
  readonly expiresAt: string;
  /** When people were first shown it, or what it was then: escalations go by it. RFC 3339 UTC. */
  readonly since?: string;
  /** Who may decide by now besides those whom the requirements name first: grows with every escalation. Absent before the first. */
  readonly escalated?: readonly string[];
}

/** What the update `outcome` answers: the outcome; or that people are needed first; or that it cannot be recorded yet how the action ended. */
export type OutcomeReply =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'pending'; readonly pending: PendingView }
  | { readonly kind: 'unrecorded'; readonly error: ErrorView };

/** What the update `decide` answers. */
export interface DecideReply {
  readonly recorded: ApprovalRecord;
  readonly state: DecisionState;
  /** Of an edit: id of the action that is done instead. */
  readonly revisedBy?: string;
  /** Set where it was a canary: what to know of it, in a few sentences. */
  readonly canary?: string;
}

/** Where the decisions of people stand. */
export type DecisionState = 'waiting' | 'approved' | 'denied' | 'changes_requested';
