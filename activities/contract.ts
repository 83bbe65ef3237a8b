/** What the workflow and its activities say to each other. Types only: the workflow sandbox loads no value from here. */
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import type { Digest } from '../src/action/json.js';
import type { ApprovalRecord, Outcome, ReceiptRef, Shown, StepTimings } from '../src/action/outcome.js';
import type { Decision, Facts, Requirement } from '../src/action/decision.js';
import type { StoredPasskey } from '../src/action/passkey.js';
import type { Proposal } from '../src/action/proposal.js';
import type { SagaManifest } from '../src/action/saga.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import type { OpenAction } from '../src/ledger/index.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import type { Announcement } from '../src/notify/notice.js';
import type { Execution } from '../src/tools/tool.js';

/** The workflow's input. It carries no secret: the proof is the agent's signature over the digest, good for this proposal only. */
export interface ActionRequest {
  readonly proposal: Proposal;
  readonly digest: Digest;
  readonly proof: string;
  /** It is to be recorded as cancelled, and its effect not made: a saga that is cancelled settles its next step so. */
  readonly cancelled?: boolean;
}

/** How the effect is to be run. */
export interface EffectOptions {
  readonly timeoutMs: number;
}

/** What was decided, and on what. */
export interface Decided {
  readonly facts: Facts;
  readonly decision: Decision;
}

/** What `prepare` is told beyond the request. */
export interface PrepareOptions {
  /** The action has waited for room as long as it may: it is denied if there still is none. */
  readonly patienceOver?: boolean;
}

/** What `prepare` (propose, enforce, capture, authorize) comes to. */
export type Prepared =
  | {
      readonly kind: 'granted';
      readonly plan: Plan;
      readonly grant: string;
      readonly effect: EffectOptions;
      /** Absent where the effect's activity, which remembers them, is to conclude as well. */
      readonly steps?: StepTimings;
    }
  | {
      readonly kind: 'pending';
      readonly plan: Plan;
      readonly shown: Shown;
      readonly shownDigest: Digest;
      /** Tokens given that still count. */
      readonly standing: readonly string[];
      /** Why the others do not. */
      readonly dropped: readonly ErrorView[];
      /** Somebody is to be told of what becomes of the wait. */
      readonly announce?: boolean;
    }
  /** A limit leaves no room now; it says that the action may wait for some. */
  | ({
      readonly kind: 'queued';
      readonly reason: string;
      /** When to look again. */
      readonly retryAfterMs: number;
      /** Longest the action waits in all, from when it first met the limit. */
      readonly patienceMs: number;
    } & Decided)
  /** Refused, or recorded earlier. The receipt is written. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  /** The tool's steps belong on another task queue. */
  | { readonly kind: 'elsewhere'; readonly taskQueue: string };

/** The effect was made. */
export interface Done {
  readonly kind: 'done';
  readonly execution: Execution;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly tookMs: number;
}

/** What is known after trying to make the effect. */
export type Truth =
  | Done
  /** Nothing happened, and trying again is no use. `unreached`: the tool was not even asked. */
  | { readonly kind: 'not_done'; readonly error: ErrorView; readonly unreached?: boolean }
  /** Nothing happened, because the grant no longer holds (expired, or the state moved): a new one may be asked for. */
  | {
      readonly kind: 'void';
      readonly error: ErrorView;
      readonly unreached?: boolean;
      /** The system was out of reach: a new grant is of use after this, milliseconds. */
      readonly retryAfterMs?: number;
    }
  /** It may have happened. */
  | { readonly kind: 'unknown'; readonly error: ErrorView }
  /** The effect was never tried. */
  | { readonly kind: 'stopped'; readonly status: 'cancelled' | 'expired' | 'denied'; readonly error: ErrorView };

/** What `execute` answers: what is known, or already how it ended. */
export type Report = Truth | { readonly kind: 'concluded'; readonly concluded: Concluded };

export interface Conclusion {
  readonly request: ActionRequest;
  readonly report: Truth;
  readonly plan?: Plan;
  /** Of an action that was stopped before there was a plan. */
  readonly decided?: Decided;
  readonly grant?: string;
  /** How long the steps before the effect took. */
  readonly steps?: StepTimings;
  /** The decisions people signed, where the action was stopped by or after one. */
  readonly approvals?: readonly string[];
  /** The tool's system has been out of reach for too long: settle with what is known. */
  readonly withoutReading?: boolean;
}

/** What an outcome says beyond the request and the plan. */
export type Ending = Omit<Outcome, keyof Plan | 'tenant' | 'actionId' | 'proposalDigest' | 'tool'>;

/** An outcome as it travels back to the workflow: what it knows already is not said twice in history. */
export type Concluded =
  { readonly kind: 'planned'; readonly ending: Ending } | { readonly kind: 'whole'; readonly outcome: Outcome };

/** What a signed decision is checked against. */
export interface ApprovalCheck {
  readonly token: string;
  readonly shown: Pick<Shown, 'tenant' | 'actionId' | 'agent'>;
  readonly shownDigest: Digest;
  readonly requirements: readonly Requirement[];
  /** Of the policy that asks: what a passkey asserts is bound to it. Absent where a workflow from before there were any asks. */
  readonly policyDigest?: Digest;
}

/** The activities, as the workflow calls them. */
export interface Steps {
  /** Propose, enforce, capture, authorize: everything before the effect. Has no effect on the tool's system. */
  readonly prepare: (
    request: ActionRequest,
    approvals: readonly string[],
    options?: PrepareOptions,
  ) => Promise<Prepared>;
  /** Verifies a person's signed decision. @throws ApplicationFailure with the code APPROVAL_*, PASSKEY_* or CREDENTIAL_REVOKED */
  readonly checkApproval: (check: ApprovalCheck) => Promise<ApprovalRecord>;
  /** Makes the effect, once, under the grant; and concludes at once, where that is safe and can be done here. */
  readonly execute: (proposal: Proposal, grant: string) => Promise<Report>;
  /** Look up (if unknown), capture again, verify, settle: everything after the effect. */
  readonly conclude: (conclusion: Conclusion) => Promise<Concluded>;
  /** Does what a person's signed statement says. @throws ApplicationFailure with STATEMENT_INVALID, ROLE_REQUIRED, NOT_FOUND, NOT_UNKNOWN … */
  readonly fulfil: (statement: string) => Promise<Fulfilled>;
  /** Settles actions whose workflow ended without an outcome, was terminated or is gone. */
  readonly reconcile: (options: ReconcileOptions) => Promise<Reconciled>;
  /** Finds out how an action that has ended can be undone, and warrants the proposal that does. Has no effect on the tool's system. */
  readonly compensate: (request: CompensationRequest) => Promise<Undoing>;
  /** How an action stands. */
  readonly standing: (tenant: string, actionId: string) => Promise<Standing>;
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
  readonly patienceMs: number;
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

/** What became of a person's statement. */
export type Fulfilled =
  | { readonly kind: 'unfreeze'; readonly freeze: Freeze; readonly receipt: ReceiptRef }
  | { readonly kind: 'revoke'; readonly revocation: Revocation; readonly receipt: ReceiptRef }
  | { readonly kind: 'enrol' | 'retire'; readonly passkey: StoredPasskey; readonly receipt: ReceiptRef }
  | { readonly kind: 'stand' | 'withdraw'; readonly standing: StandingApproval; readonly receipt: ReceiptRef }
  | { readonly kind: 'duty' | 'relieve'; readonly duty: RoleDelegation; readonly receipt: ReceiptRef }
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
  readonly proof: string;
}

/** What is to be undone. */
export interface CompensationRequest {
  readonly tenant: string;
  /** As it was proposed: its digest must be that of the record. */
  readonly proposal: Proposal;
  /** The saga that the action is a step of. Without one, only a mismatch that the proposal itself wants undone is. */
  readonly saga?: SagaManifest & { /** The agent's signature over the manifest's digest. */ readonly proof: string };
  /** The attempt that came to nothing, and that a person wants another one after. */
  readonly retryOf?: string;
}

/** What there is to do about an action that is to be undone. */
export type Undoing =
  /** To be carried out as an action of its own. */
  | { readonly kind: 'proposed'; readonly request: ActionRequest }
  /** An attempt was begun before, and has no outcome yet. */
  | { readonly kind: 'underway'; readonly actionId: string }
  /** An attempt has ended before. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'nothing'; readonly reason: string }
  | { readonly kind: 'impossible'; readonly error: ErrorView }
  /** The tool's steps belong on another task queue. */
  | { readonly kind: 'elsewhere'; readonly taskQueue: string };

/** How an action stands, without waiting for it. */
export type Standing =
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
