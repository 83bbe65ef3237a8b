/** What the steps of an action hand on, and what each is given. Types only: the workflow sandbox loads no value from here. */
import type { Decision, Facts, Preview, ActionType } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Digest } from '../src/action/json.js';
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
