/** What the workflows and their activities say to each other. Types only: the workflow sandbox loads no value from here. */
import type { Requirement } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { ApprovalRecord, Outcome, ReceiptRef, Shown } from '../src/action/outcome.js';
import type { StoredPasskey } from '../src/action/passkey.js';
import type { Proposal } from '../src/action/proposal.js';
import type { SagaManifest } from '../src/action/saga.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import type { OpenAction } from '../src/ledger/index.js';
import type { Announcement } from '../src/notify/notice.js';

import type {
  ActionRequest,
  ApprovalInput,
  Approved,
  AuthorizeInput,
  CapturePostStateInput,
  CapturePreStateInput,
  Concluded,
  EffectReport,
  Ended,
  EnforceInput,
  Enforced,
  Granted,
  LookAgain,
  OtherTaskQueue,
  Pending,
  PostState,
  PreState,
  Proposed,
  Queued,
  Refused,
  Sealed,
  SettleInput,
  VerifyInput,
} from './records.js';

export type * from './records.js';

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
