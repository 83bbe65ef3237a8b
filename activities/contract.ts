/** What the workflows and their activities say to each other. Types only: the workflow sandbox loads no value from here. */
import type { Decision, Facts, Preview, Requirement, ActionType } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Digest } from '../src/action/json.js';
import type { HoldRequest, LimitFigure } from '../src/action/limits.js';
import type { ApprovalRecord, Outcome, ReceiptRef, Shown } from '../src/action/outcome.js';
import type { StoredPasskey } from '../src/action/passkey.js';
import type { Proposal } from '../src/action/proposal.js';
import type { SagaManifest } from '../src/action/saga.js';
import type { Delta, Snapshot } from '../src/action/snapshot.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import type { OpenAction } from '../src/ledger/index.js';
import type { Announcement } from '../src/notify/notice.js';
import type { Measured } from '../src/policy/index.js';
import type { Execution } from '../src/tools/tool.js';
import type { SealedStep } from '../src/trust/seals.js';

/** The workflow's input. It carries no secret: the proposal signature is the agent's signature over the digest, good for this proposal only. */
export interface ActionRequest {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly signature: string;
  /** The action is recorded as cancelled and its effect is not made: a saga that is cancelled settles its next step so. */
  readonly cancelled?: boolean;
}

/**
 * What a step hands on. It passes through history, which whoever has access to Temporal can write, so it carries a seal: a signature over
 * the workflow's id, the step's name, the proposal's digest and the record's digest. The next step refuses a record whose seal is not good.
 */
export type Sealed<Record> = Record & { readonly seal: string };

/** Every record says when its step ended, by its worker's clock, and how long it took. */
export interface StepRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tookMs: number;
}

/** A step says no. Sealed like any other record, so that a receipt states no reason that no step gave. */
export interface Refused extends StepRecord {
  readonly kind: 'refused';
  /** The one that says no. */
  readonly step: SealedStep;
  readonly error: ErrorView;
  /** What was known by then. */
  readonly facts?: Facts;
  readonly decision?: Decision;
}

/** The action has an outcome in the ledger already: that one counts. */
export interface Ended {
  readonly kind: 'ended';
  readonly outcome: Outcome;
}

/** The steps that touch the tool's system run on workers of another task queue. */
export interface OtherTaskQueue {
  readonly kind: 'other_task_queue';
  readonly taskQueue: string;
}

/** What is proposed, as the tool reads it, and what it would touch, as the real system shows it. */
export interface Proposed extends StepRecord {
  readonly kind: 'proposed';
  readonly tool: Facts['tool'];
  readonly actionType: ActionType;
  readonly operation: string;
  readonly preview: Preview;
}

/** What policy and limits say together. */
export interface Enforced extends StepRecord {
  readonly kind: 'enforced';
  readonly facts: Facts;
  readonly decision: Decision;
  /** Ids of what the agent's authority rests on: one revoked, and the grant is no longer valid. */
  readonly credentials: readonly string[];
  /** What the action asks of its limits: `authorize` places it. */
  readonly holds: readonly HoldRequest[];
  /** The amounts that the limits found in the input: the budgets of standing approvals count them too. */
  readonly measured: readonly Pick<Measured, 'unit' | 'amount'>[];
}

/** A limit leaves no room now, and lets the action wait for some. */
export interface Queued extends StepRecord {
  readonly kind: 'queued';
  readonly facts: Facts;
  readonly decision: Decision;
  readonly reason: string;
  /** When to look again. */
  readonly retryAfterMs: number;
  /** Longest the action waits in all, from when it first met the limit. */
  readonly maxWaitMs: number;
}

/** The state that the action can change, before it does. */
export interface PreState extends StepRecord {
  readonly kind: 'pre_state';
  readonly snapshot: Snapshot;
}

/** The people whom policy asks for have said yes, now or in advance. */
export interface Approved extends StepRecord {
  readonly kind: 'approved';
  /** Of what they approved. */
  readonly shownDigest: Digest;
  readonly approvals: readonly ApprovalRecord[];
  /** The budgets of the standing approvals it rests on: `authorize` places what they hold. */
  readonly holds: readonly HoldRequest[];
  /** Where these budgets stand, before this action. */
  readonly figures: readonly LimitFigure[];
  /** Ids of what the standing approvals rest on: one revoked, and the grant is no longer valid. */
  readonly credentials: readonly string[];
}

/** People are asked. */
export interface Pending {
  readonly kind: 'pending';
  readonly shown: Shown;
  readonly shownDigest: Digest;
  /** Of what they decide on, with the approvals given in advance. */
  readonly plan: Plan;
  /** Tokens given that still count. */
  readonly counting: readonly string[];
  /** Why the others do not. */
  readonly dropped: readonly ErrorView[];
  /** Somebody is to be told of what becomes of the wait. */
  readonly announce?: boolean;
}

/** The effect may be made, once. */
export interface Granted extends StepRecord {
  readonly kind: 'granted';
  readonly grant: string;
  /** Longest the effect may take. */
  readonly timeoutMs: number;
}

/** Others took the room between the reading and the placing, or the records are too old: everything is looked at again. */
export interface LookAgain {
  readonly kind: 'look_again';
  readonly because: 'limits' | 'standing_approvals' | 'stale_records';
}

/** Whether the effect was made, as far as the attempt to make it can tell. */
export type EffectReport = StepRecord &
  (
    | {
        readonly kind: 'done';
        readonly execution: Execution;
        /** Milliseconds since the epoch. */ readonly startedAt: number;
      }
    /** Nothing happened, and trying again is no use. */
    | (NotMade & { readonly kind: 'not_done' })
    /** Nothing happened, because the grant is no longer valid (it expired, or the state moved): a new one may be asked for. */
    | (NotMade & {
        readonly kind: 'grant_lapsed';
        /** The system was out of reach: a new grant is of use after this, milliseconds. */
        readonly retryAfterMs?: number;
      })
    /** It was stopped before it happened. */
    | (NotMade & { readonly kind: 'stopped' })
    /** It may have happened. */
    | { readonly kind: 'unknown'; readonly error: ErrorView }
  );

interface NotMade {
  readonly error: ErrorView;
  /** The tool was not even asked. */
  readonly notAttempted?: boolean;
  /** The activity under whose name the grant was used, when it was: that use is known to have had no effect. */
  readonly usedBy?: string;
}

/** The effect was made. */
export type Done = Extract<EffectReport, { kind: 'done' }>;

/** Why an action ends whose effect was not made, where no step said so: the workflow knows, and people signed. */
export type Stopped =
  | { readonly kind: 'cancelled'; readonly during: 'approval' | 'pipeline' }
  | { readonly kind: 'cancelled'; readonly during: 'queue'; readonly queued: Sealed<Queued> }
  /** Nobody decided in time. RFC 3339 UTC. */
  | { readonly kind: 'expired'; readonly expiresAt: string }
  /** People decided against it: the decisions they signed. */
  | { readonly kind: 'decided'; readonly tokens: readonly string[] }
  | { readonly kind: 'no_room'; readonly queued: Sealed<Queued> }
  /** A step could not be carried out at all. */
  | { readonly kind: 'step_failed'; readonly error: ErrorView };

/** What is known once the real system was read again. */
export type PostState = StepRecord &
  (
    | {
        readonly kind: 'post_state';
        readonly snapshot: Snapshot;
        readonly delta: Delta;
        /** Why there is no second sample. */
        readonly unsampled?: string;
        /** What to say of the checks that were waited for, by name. */
        readonly waited?: Readonly<Record<string, string>>;
        /** What the tool's look-up found, where the report did not know. */
        readonly found?: Execution;
      }
    /** The effect was found, but this run does not know the state before it, so there is nothing to compare with. */
    | { readonly kind: 'made_unverified'; readonly found: Execution }
    /** The tool has made sure that the effect did not happen and never will. */
    | { readonly kind: 'not_made'; readonly error: ErrorView }
    | { readonly kind: 'unknown'; readonly error: ErrorView }
  );

/** What was settled before the effect: `authorize` bound it by digest in the grant. */
export interface AuthorizedAction {
  readonly enforced: Sealed<Enforced>;
  readonly approved?: Sealed<Approved>;
  readonly pre: Snapshot;
  readonly grant: string;
}

/** How long each step took. */
export type RecordedTimes = Outcome['steps'];

export interface EnforceInput {
  readonly request: ActionRequest;
  readonly proposed: Sealed<Proposed>;
  /** The action has waited for room as long as it may: it is denied if there still is none. */
  readonly maxWaitOver: boolean;
}

export interface CapturePreStateInput {
  readonly request: ActionRequest;
  readonly proposed: Sealed<Proposed>;
}

export interface ApprovalInput {
  readonly request: ActionRequest;
  readonly enforced: Sealed<Enforced>;
  /** Absent for a read, which changes nothing. */
  readonly pre: Sealed<PreState> | undefined;
  /** The decisions people signed so far. */
  readonly tokens: readonly string[];
  /** Others keep taking the budgets of standing approvals: people are asked. */
  readonly withoutStandingApprovals: boolean;
}

export interface AuthorizeInput {
  readonly request: ActionRequest;
  readonly enforced: Sealed<Enforced>;
  /** Absent for a read, which changes nothing. */
  readonly pre: Sealed<PreState> | undefined;
  readonly approved: Sealed<Approved> | undefined;
  /** Everything was looked at again often enough: what does not fit now is refused. */
  readonly lastLook: boolean;
}

export interface CapturePostStateInput {
  readonly request: ActionRequest;
  /** Absent where an earlier run made the effect, or may have, and this one was refused. */
  readonly authorized?: AuthorizedAction;
  /** Without a seal it counts as unknown, whatever it says. */
  readonly report: EffectReport & { readonly seal?: string };
}

export interface VerifyInput {
  readonly request: ActionRequest;
  readonly authorized?: AuthorizedAction;
  /** Without a seal it counts as unknown, whatever it says. */
  readonly report: EffectReport & { readonly seal?: string };
  /** Absent where the effect was not made, or the system has been out of reach for too long. */
  readonly post?: Sealed<PostState>;
  /** How this run ends when it turns out that an earlier run made no effect. */
  readonly instead?: SettleInput;
  /** Earlier attempts of this run that had no effect. */
  readonly attempts: readonly Sealed<EffectReport>[];
  readonly steps: RecordedTimes;
}

export interface SettleInput {
  readonly request: ActionRequest;
  readonly ending: Sealed<Refused> | Stopped;
  /** What was known by then. */
  readonly enforced?: Sealed<Enforced>;
  readonly pre?: Sealed<PreState>;
  /** Attempts of this run that had no effect. */
  readonly attempts: readonly Sealed<EffectReport>[];
  readonly steps: RecordedTimes;
}

/** What an outcome says beyond what the steps before handed on already: history need not carry it twice. */
export type Ending = Omit<
  Outcome,
  keyof Plan | 'post' | 'delta' | 'result' | 'tenant' | 'actionId' | 'proposalDigest' | 'tool'
>;

/** How an action ended. The receipt is written. */
export type Concluded =
  | { readonly kind: 'verified'; readonly ending: Ending }
  | { readonly kind: 'complete'; readonly outcome: Outcome }
  /** Nothing is recorded: an earlier run used a grant, so the effect may have been made, and that must be found out first. */
  | { readonly kind: 'effect_possible' };

/** What a signed decision is checked against. */
export interface ApprovalCheck {
  readonly token: string;
  readonly shown: Pick<Shown, 'tenant' | 'actionId' | 'agent'>;
  readonly shownDigest: Digest;
  readonly requirements: readonly Requirement[];
  /** Of the policy that asks: what a passkey asserts is bound to it. */
  readonly policyDigest: Digest;
}

/** The activities, as the workflows call them. */
export interface Activities {
  /** Authenticates the agent, validates the proposal against the tool's schema and previews it on the real system. */
  readonly propose: (request: ActionRequest) => Promise<Sealed<Proposed> | Sealed<Refused> | OtherTaskQueue>;
  /** Decides: policy and limits, on facts that are recorded whole. */
  readonly enforce: (input: EnforceInput) => Promise<Sealed<Enforced> | Sealed<Queued> | Sealed<Refused> | Ended>;
  /** Reads the state that the action can change. */
  readonly capturePreState: (input: CapturePreStateInput) => Promise<Sealed<PreState> | Sealed<Refused>>;
  /** Counts the approvals there are, and puts the request into the inbox where more are needed. */
  readonly requestApproval: (input: ApprovalInput) => Promise<Sealed<Approved> | Pending | Sealed<Refused> | Ended>;
  /** The deterministic gate: admits the action to the ledger with its holds, all or none, and signs the grant. */
  readonly authorize: (input: AuthorizeInput) => Promise<Sealed<Granted> | LookAgain | Sealed<Refused> | Ended>;
  /** Makes the effect, once, under the grant. */
  readonly execute: (proposal: Proposal, grant: string) => Promise<Sealed<EffectReport>>;
  /** Finds out whether the effect was made, where that is not known, and reads the real system until the expectation holds. */
  readonly capturePostState: (input: CapturePostStateInput) => Promise<Sealed<PostState> | OtherTaskQueue>;
  /** Compares the real system with what was promised, settles the holds and signs the receipt. */
  readonly verify: (input: VerifyInput) => Promise<Concluded>;
  /** Records the end of an action without an effect: denied, expired or cancelled. */
  readonly settle: (input: SettleInput) => Promise<Concluded>;

  /** Verifies a person's signed decision. @throws ApplicationFailure with the code APPROVAL_*, PASSKEY_* or CREDENTIAL_REVOKED */
  readonly checkApproval: (check: ApprovalCheck) => Promise<ApprovalRecord>;
  /** Does what a person's signed command says. @throws ApplicationFailure with COMMAND_INVALID, ROLE_REQUIRED, NOT_FOUND, NOT_UNKNOWN … */
  readonly executeCommand: (command: string) => Promise<CommandResult>;
  /** Settles actions whose workflow ended without an outcome, was terminated or is gone. */
  readonly reconcile: (options: ReconcileOptions) => Promise<Reconciled>;
  /** Finds out how an action that has ended can be undone, and authorizes the proposal that does. Has no effect on the tool's system. */
  readonly compensate: (request: CompensationRequest) => Promise<CompensationPlan>;
  /** How an action stands. */
  readonly actionState: (tenant: string, actionId: string) => Promise<ActionState>;
  /** The outcome that the ledger has for an action. @throws ApplicationFailure with NOT_FOUND */
  readonly recordedOutcome: (tenant: string, actionId: string) => Promise<Outcome>;
  /** Which channels are to tell people of something. @throws ApplicationFailure with NOT_FOUND when nobody was asked */
  readonly route: (announcement: Announcement) => Promise<Routing>;
  /** Tells people on one channel, once. @throws ApplicationFailure with DELIVERY_FAILED when another attempt is due */
  readonly notify: (announcement: Announcement, channel: string) => Promise<DeliveryEnd>;
  /** Puts on record that a channel could not tell in all the time there was. */
  readonly giveUp: (announcement: Announcement, channel: string, reason: string) => Promise<DeliveryEnd>;
}

/** On which channels people are told of something, and for how long that is tried. */
export interface Routing {
  readonly channels: readonly string[];
  readonly maxWaitMs: number;
}

/** How telling people on one channel ended. The ledger has the same. */
export interface DeliveryEnd {
  readonly channel: string;
  readonly deliveryId: string;
  readonly status: 'delivered' | 'failed';
  readonly attempts: number;
  /** The provider's answer, or why not. */
  readonly detail: string;
}

/** What became of a person's signed command. */
export type CommandResult =
  | { readonly kind: 'unfreeze'; readonly freeze: Freeze; readonly receipt: ReceiptRef }
  | { readonly kind: 'revoke'; readonly revocation: Revocation; readonly receipt: ReceiptRef }
  | { readonly kind: 'enrol_passkey' | 'retire_passkey'; readonly passkey: StoredPasskey; readonly receipt: ReceiptRef }
  | {
      readonly kind: 'create_standing_approval' | 'withdraw_standing_approval';
      readonly standingApproval: StandingApproval;
      readonly receipt: ReceiptRef;
    }
  | {
      readonly kind: 'delegate_role' | 'end_role_delegation';
      readonly roleDelegation: RoleDelegation;
      readonly receipt: ReceiptRef;
    }
  | { readonly kind: 'resolve'; readonly outcome: Outcome }
  /** Of the undoing of an action, by the person `by`. */
  | {
      readonly kind: 'recover';
      readonly verdict: 'retry' | 'accept';
      readonly by: string;
      readonly reason: string;
      readonly receipt: ReceiptRef;
    };

/** The input of a saga's workflow. */
export interface SagaRequest {
  readonly traceId: string;
  readonly steps: readonly ActionRequest[];
  /** Of the saga's manifest. */
  readonly digest: Digest;
  /** The agent's signature over it: all or nothing is what the agent wants of these steps. */
  readonly signature: string;
}

/** What is to be undone. */
export interface CompensationRequest {
  readonly tenant: string;
  /** As it was proposed: its digest must be that of the record. */
  readonly proposal: Proposal;
  /** The saga that the action is a step of. Without one, only a mismatch that the proposal itself wants undone is. */
  readonly saga?: SagaManifest & {
    /** The agent's signature over the manifest's digest. */ readonly signature: string;
  };
  /** The attempt that came to nothing, and that a person wants another one after. */
  readonly retryOf?: string;
}

/** What there is to do about an action that is to be undone. */
export type CompensationPlan =
  /** To be carried out as an action of its own. */
  | { readonly kind: 'proposed'; readonly request: ActionRequest }
  /** An attempt was begun before, and has no outcome yet. */
  | { readonly kind: 'underway'; readonly actionId: string }
  /** An attempt has ended before. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'nothing'; readonly reason: string }
  | { readonly kind: 'impossible'; readonly error: ErrorView }
  | OtherTaskQueue;

/** How an action stands, without waiting for it. */
export type ActionState =
  /** It has an outcome; one that is `unknown` may still be resolved. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'running' }
  /** No workflow is at it, and the ledger has no outcome of it. */
  | { readonly kind: 'lost' };

export interface ReconcileOptions {
  /** Actions admitted later than this are left to their workflows. Milliseconds, default 60 000. */
  readonly olderThanMs?: number;
  /** Where the run before stopped. */
  readonly after?: ActionCursor;
}

export type ActionCursor = Pick<OpenAction, 'tenant' | 'actionId' | 'admittedAt'>;

export interface Reconciled {
  /** How many open actions were looked at. */
  readonly seen: number;
  /** How many of them were settled. */
  readonly settled: number;
  /** Where to go on, when not all were looked at. */
  readonly after?: ActionCursor;
}
