/** The records that steps of an action hand on, and the inputs of the steps. Types only: the workflow sandbox loads no value from here. */
import type { Decision, Facts, Preview, ActionType } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Digest } from '../src/action/json.js';
import type { HistoryClaim } from '../src/action/history.js';
import type { HoldRequest, LimitFigure } from '../src/action/limits.js';
import type { ApprovalRecord, Outcome, Shown } from '../src/action/outcome.js';
import type { Proposal } from '../src/action/proposal.js';
import type { Delta, Snapshot } from '../src/action/snapshot.js';
import type { Measured } from '../src/policy/index.js';
import type { Execution } from '../src/tools/tool.js';
import type { SealedStep } from '../src/trust/seals.js';

/** The workflow's input. It carries no secret: the proposal signature is the agent's signature over the digest, good for this proposal only. */
export interface ActionRequest {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly signature: string;
  /** The action is recorded as cancelled, and its effect is not made. A cancelled saga settles its next step in this way. */
  readonly cancelled?: boolean;
}

/**
 * A record that a step hands on. It passes through history, which whoever has access to Temporal can write, so it carries a seal: a
 * signature over the workflow's id, the step's name, the proposal's digest and the record's digest. The next step refuses a record without
 * a valid seal.
 */
export type Sealed<Record> = Record & { readonly seal: string };

/** Every record says when its step ended, by its worker's clock, and how long it took. */
export interface StepRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tookMs: number;
}

/** A step refused the action. The record is sealed like any other, so that a receipt states no reason that no step gave. */
export interface Refused extends StepRecord {
  readonly kind: 'refused';
  /** The step that refused. */
  readonly step: SealedStep;
  readonly error: ErrorView;
  /** The facts and the decision, as far as they had been determined. */
  readonly facts?: Facts;
  readonly decision?: Decision;
}

/** The ledger already has an outcome of the action, which counts. */
export interface Ended {
  readonly kind: 'ended';
  readonly outcome: Outcome;
}

/** The steps that touch the tool's system run on workers of another task queue. */
export interface OtherTaskQueue {
  readonly kind: 'other_task_queue';
  readonly taskQueue: string;
}

/** The proposal as the tool reads it, and a preview of what it would touch in the real system. */
export interface Proposed extends StepRecord {
  readonly kind: 'proposed';
  readonly tool: Facts['tool'];
  readonly actionType: ActionType;
  readonly operation: string;
  readonly preview: Preview;
}

/** Policy and limits allow the action, or require approval. */
export interface Enforced extends StepRecord {
  readonly kind: 'enforced';
  readonly facts: Facts;
  readonly decision: Decision;
  /** Ids of the credentials behind the agent's authority. When one is revoked, the grant is no longer valid. */
  readonly credentials: readonly string[];
  /** What the action must hold of its limits. `authorize` places these holds. */
  readonly holds: readonly HoldRequest[];
  /** The amounts that the limits found in the input: the budgets of standing approvals count them too. */
  readonly measured: readonly Pick<Measured, 'unit' | 'amount'>[];
  /** What the decision relied on of earlier actions: `authorize` checks it once more. Absent when the policy declares no history. */
  readonly history?: HistoryClaim;
}

/** A limit leaves no room now, or what must come before the action is under way: the action may wait. */
export interface Queued extends StepRecord {
  readonly kind: 'queued';
  readonly facts: Facts;
  readonly decision: Decision;
  readonly reason: string;
  /** How long to wait before `enforce` runs again. Milliseconds. */
  readonly retryAfterMs: number;
  /** The longest time that the action waits in total, from when it first had to. Milliseconds. */
  readonly maxWaitMs: number;
  /** The decision when it has waited in vain for what must come before it. Absent: it waits for room. */
  readonly inVain?: Decision;
}

/** The state that the action can change, before it changes it. */
export interface PreState extends StepRecord {
  readonly kind: 'pre_state';
  readonly snapshot: Snapshot;
}

/** The people whom policy requires have approved, now or in advance. */
export interface Approved extends StepRecord {
  readonly kind: 'approved';
  /** Digest of what they approved. */
  readonly shownDigest: Digest;
  readonly approvals: readonly ApprovalRecord[];
  /** What the action must hold of the budgets of its standing approvals. `authorize` places these holds. */
  readonly holds: readonly HoldRequest[];
  /** The state of these budgets before this action. */
  readonly figures: readonly LimitFigure[];
  /** Ids of the standing approvals and of the credentials behind them. When one is revoked, the grant is no longer valid. */
  readonly credentials: readonly string[];
}

/** People have yet to decide. An approval request is open. */
export interface Pending {
  readonly kind: 'pending';
  readonly shown: Shown;
  readonly shownDigest: Digest;
  /** The plan that they decide on, with the approvals given in advance. */
  readonly plan: Plan;
  /** The tokens of the decisions that still count. */
  readonly counting: readonly string[];
  /** Why each of the other decisions does not count. */
  readonly dropped: readonly ErrorView[];
  /** Whether people are to be notified of the request and of how it ends. */
  readonly announce?: boolean;
}

/** The grant is signed: the effect may be made, once. */
export interface Granted extends StepRecord {
  readonly kind: 'granted';
  readonly grant: string;
  /** The longest time that the effect may take. Milliseconds. */
  readonly timeoutMs: number;
  /** A cancellation waits for what the effect says that it did. Absent in histories of before. */
  readonly answersCancellation?: true;
}

/**
 * Other actions took the room before the holds were placed, earlier actions came to something else than was decided on, or the records are too
 * old: the earlier steps must run again.
 */
export interface LookAgain {
  readonly kind: 'look_again';
  readonly because: 'limits' | 'history' | 'standing_approvals' | 'stale_records';
}

/** Whether the effect was made, as far as the attempt to make it can tell. */
export type EffectReport = StepRecord &
  (
    | {
        readonly kind: 'done';
        readonly execution: Execution;
        /** Milliseconds since the epoch. */ readonly startedAt: number;
      }
    /** Nothing happened, and another attempt is of no use. */
    | (NotMade & { readonly kind: 'not_done' })
    /** Nothing happened, because the grant expired, the state changed or the system was unreachable. A new grant may be requested. */
    | (NotMade & {
        readonly kind: 'grant_lapsed';
        /** The system was unreachable: a new grant is of use only after this time. Milliseconds. */
        readonly retryAfterMs?: number;
      })
    /** It was stopped before it happened. */
    | (NotMade & { readonly kind: 'stopped' })
    /** It may have happened. */
    | { readonly kind: 'unknown'; readonly error: ErrorView }
  );

interface NotMade {
  readonly error: ErrorView;
  /** The tool was not called. */
  readonly notAttempted?: boolean;
  /** The activity that used the grant, if any. This use is known to have had no effect. */
  readonly usedBy?: string;
}

/** The effect was made. */
export type Done = Extract<EffectReport, { kind: 'done' }>;

/** Why an action ends without an effect although no step refused it: the workflow states it, and people's decisions are signed. */
export type Stopped =
  | { readonly kind: 'cancelled'; readonly during: 'approval' | 'pipeline' }
  | { readonly kind: 'cancelled'; readonly during: 'queue'; readonly queued: Sealed<Queued> }
  /** Nobody decided in time. `expiresAt` is RFC 3339 UTC. */
  | { readonly kind: 'expired'; readonly expiresAt: string }
  /** People decided against the action. `tokens` are the decisions that they signed; `edited` is what one of them made of the proposal. */
  | { readonly kind: 'decided'; readonly tokens: readonly string[]; readonly edited?: Proposal }
  | { readonly kind: 'no_room'; readonly queued: Sealed<Queued> }
  /** Temporal could not carry out a step. */
  | { readonly kind: 'step_failed'; readonly error: ErrorView };

/** The real system after the effect, as far as it could be read. */
export type PostState = StepRecord &
  (
    | {
        readonly kind: 'post_state';
        readonly snapshot: Snapshot;
        readonly delta: Delta;
        /** Why there is no sample of rows after the effect. */
        readonly unsampled?: string;
        /** Details of the checks that had a deadline of their own, by name. */
        readonly waited?: Readonly<Record<string, string>>;
        /** What the tool's look-up found, where the report did not say whether the effect was made. */
        readonly found?: Execution;
      }
    /** The effect was found, but this run has no state from before it, so it cannot be verified. */
    | { readonly kind: 'made_unverified'; readonly found: Execution }
    /** The tool has made sure that the effect did not happen and never will. */
    | { readonly kind: 'not_made'; readonly error: ErrorView }
    | { readonly kind: 'unknown'; readonly error: ErrorView }
  );

/** What was decided before the effect. `authorize` bound it in the grant by digest. */
export interface AuthorizedAction {
  readonly enforced: Sealed<Enforced>;
  readonly approved?: Sealed<Approved>;
  readonly pre: Snapshot;
  readonly grant: string;
}

/** How long each step took, in milliseconds. */
export type RecordedTimes = Outcome['steps'];

export interface EnforceInput {
  readonly request: ActionRequest;
  readonly proposed: Sealed<Proposed>;
  /** The action has waited for room as long as it may. It is denied if there still is none. */
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
  /** The decisions that people have signed so far. */
  readonly tokens: readonly string[];
  /** Other actions keep using up the budgets of standing approvals, so these are ignored and people are asked. */
  readonly withoutStandingApprovals: boolean;
}

export interface AuthorizeInput {
  readonly request: ActionRequest;
  readonly enforced: Sealed<Enforced>;
  /** Absent for a read, which changes nothing. */
  readonly pre: Sealed<PreState> | undefined;
  readonly approved: Sealed<Approved> | undefined;
  /** The earlier steps were repeated often enough. An action that does not fit now is refused. */
  readonly lastLook: boolean;
}

export interface CapturePostStateInput {
  readonly request: ActionRequest;
  /** Absent when an earlier run made the effect, or may have made it, and this run was refused. */
  readonly authorized?: AuthorizedAction;
  /** A report without a seal counts as `unknown`, whatever it says. */
  readonly report: EffectReport & { readonly seal?: string };
}

/** What steps sealed, for the receipt to name: nothing else is read from them. */
export interface NamedRecords {
  readonly proposed?: Sealed<Proposed>;
  readonly pre?: Sealed<PreState>;
  readonly granted?: Sealed<Granted>;
}

export interface VerifyInput {
  readonly request: ActionRequest;
  readonly authorized?: AuthorizedAction;
  /** A report without a seal counts as `unknown`, whatever it says. */
  readonly report: EffectReport & { readonly seal?: string };
  /** Absent when the effect was not made, or when the system was unreachable for too long. */
  readonly post?: Sealed<PostState>;
  /** Records that only the receipt names. */
  readonly named?: NamedRecords;
  /** How this run ends when it turns out that an earlier run made no effect. */
  readonly instead?: SettleInput;
  /** Earlier attempts of this run that had no effect. */
  readonly attempts: readonly Sealed<EffectReport>[];
  readonly steps: RecordedTimes;
}

export interface SettleInput {
  /** Records that only the receipt names. */
  readonly named?: NamedRecords;
  readonly request: ActionRequest;
  readonly ending: Sealed<Refused> | Stopped;
  /** Absent when the action ended before policy and limits allowed it. */
  readonly enforced?: Sealed<Enforced>;
  readonly pre?: Sealed<PreState>;
  /** Attempts of this run that had no effect. */
  readonly attempts: readonly Sealed<EffectReport>[];
  readonly steps: RecordedTimes;
}

/** The parts of an outcome that are not in the records of earlier steps, so that history carries nothing twice. */
export type Ending = Omit<
  Outcome,
  keyof Plan | 'post' | 'delta' | 'result' | 'tenant' | 'actionId' | 'proposalDigest' | 'tool'
>;

/** How an action ended. Its receipt is written, except for `effect_possible`. */
export type Concluded =
  | { readonly kind: 'verified'; readonly ending: Ending }
  | { readonly kind: 'complete'; readonly outcome: Outcome }
  /** Nothing is recorded: an earlier run used a grant, so the effect may have been made, and that must be found out first. */
  | { readonly kind: 'effect_possible' };
