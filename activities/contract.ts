/** The interface between the workflows and their activities. Types only: the workflow sandbox loads no value from here. */
import type { BatchDecision, BatchedDecision } from '../src/action/batch.js';
import type { Canary } from '../src/action/canary.js';
import type { Requirement } from '../src/action/decision.js';
import type { DryRun } from '../src/action/dry-run.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Digest } from '../src/action/json.js';
import type { ApprovalRecord, Outcome, PendingView, ReceiptRef, Shown } from '../src/action/outcome.js';
import type { StoredPasskey } from '../src/action/passkey.js';
import type { PolicyChange } from '../src/action/policy-rollout.js';
import type { Proposal } from '../src/action/proposal.js';
import type { RadarAlert } from '../src/action/radar.js';
import type { SagaManifest } from '../src/action/saga.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Revocation } from '../src/action/revocation.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import type { StandingApproval } from '../src/action/standing-approval.js';
import type { OpenAction, RetentionKind } from '../src/ledger/index.js';
import type { AlarmNotice, LedgerAlarm } from '../src/notify/alarm.js';
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
  /** Digest of the policy that requires the approval. A passkey assertion is bound to it. */
  readonly policyDigest: Digest;
}

/** An edit also against what it is an edit of. */
export interface EditCheck extends ApprovalCheck {
  readonly original: ActionRequest;
  readonly edited: Proposal;
}

/** The input of a dry run. The signature is the agent's over the digest of the dry run, and begins no action. */
export type DryRunRequest = Pick<ActionRequest, 'proposal' | 'signature'>;

/** What the tool's system says of a dry run. It bears no seal: nothing rests on it but an answer. */
export interface DryRunSeen extends Pick<Proposed, 'tool' | 'actionType' | 'operation' | 'preview'> {
  readonly kind: 'seen';
  /** Why it would not do what was asked for or promised. */
  readonly broken?: ErrorView;
}

/** One proposal of a batch: as it is tried, and as it is begun when all would be. Both are signed by the agent. */
export interface BatchedRequest {
  readonly action: ActionRequest;
  /** The agent's signature over the digest of the dry run. */
  readonly dryRunSignature: string;
}

/** The input of a batch's workflow. */
export interface BatchRequest {
  /** The agent's id, as it says itself: for lists of actions until the agent is verified. */
  readonly agent: string;
  readonly actions: readonly BatchedRequest[];
}

/** What was found of one proposal of a batch before it is decided. */
export type BatchedFound = BatchedDecision | DryRunSeen;

/** Why a canary may be sent: a person's signed command, or the config of the workers, which names it. */
export type CanaryTicket = { readonly command: string } | { readonly template: string; readonly nonce: string };

/** A canary that is due by the config. */
export interface DueCanary {
  readonly tenant: string;
  readonly actionId: string;
  readonly ticket: CanaryTicket;
}

/** What the tool's system says of a canary. It bears no seal: nothing rests on it but what people are shown. */
export type CanarySeen = Omit<DryRunSeen, 'broken'>;

/** A canary that people are shown. No seal either: no step of an action takes any of it. */
export interface OpenedCanary {
  readonly pending: PendingView;
  readonly canary: Canary;
  /** Whether people are notified. */
  readonly announce: boolean;
  /** Where a signed command sent it. */
  readonly receipt?: ReceiptRef;
}

/** The end of a canary by a decision. */
export interface CanaryDecided {
  readonly record: ApprovalRecord;
  readonly outcome: Outcome;
}

/** An edit that counts, and the action that is begun instead. */
export interface CheckedEdit {
  readonly record: ApprovalRecord;
  readonly request: ActionRequest;
}

/** The activities, as the workflows call them. */
export interface Activities {
  /** Authenticates the agent, validates the proposal against the tool's schema and previews it on the real system. */
  readonly propose: (request: ActionRequest) => Promise<Sealed<Proposed> | Sealed<Refused> | OtherTaskQueue>;
  /** Decides: policy and limits, on facts that are recorded whole. */
  readonly enforce: (input: EnforceInput) => Promise<Sealed<Enforced> | Sealed<Queued> | Sealed<Refused> | Ended>;
  /** Reads the state that the action can change. */
  readonly capturePreState: (input: CapturePreStateInput) => Promise<Sealed<PreState> | Sealed<Refused>>;
  /** Counts the approvals given, and opens an approval request in the inbox where more are needed. */
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

  /** Previews a proposal for a dry run. */
  readonly previewDryRun: (
    request: DryRunRequest,
  ) => Promise<DryRunSeen | { readonly kind: 'decided'; readonly answer: DryRun } | OtherTaskQueue>;
  /** Tells what policy, limits and people would say of it. Admits, holds and records nothing. */
  readonly decideDryRun: (input: { readonly request: DryRunRequest; readonly seen: DryRunSeen }) => Promise<DryRun>;

  /** Tells which actions of this agent's batch were begun before, or cannot be because another proposal, or another agent's, has their id. Undefined for the others. */
  readonly begunBefore: (
    tenant: string,
    actions: readonly ActionRequest[],
    agent?: string,
  ) => Promise<readonly (BatchedDecision | undefined)[]>;
  /** Decides on the proposals of a batch in their order, each beside what those before it ask of limits. */
  readonly decideBatch: (
    actions: readonly { readonly request: DryRunRequest; readonly found: BatchedFound }[],
  ) => Promise<BatchDecision>;

  /** Verifies a person's signed decision. @throws ApplicationFailure with the code APPROVAL_*, PASSKEY_*, CREDENTIAL_REVOKED or EDIT_INVALID */
  readonly checkApproval: (check: ApprovalCheck) => Promise<ApprovalRecord>;
  /** The same of a decision that edits the proposal, with what was made of it. @throws ApplicationFailure also with INVALID_* */
  readonly checkEdit: (check: EditCheck) => Promise<CheckedEdit>;
  /** Previews a canary. @throws ApplicationFailure with COMMAND_INVALID, ROLE_REQUIRED, CANARY_INVALID or INVALID_* */
  readonly previewCanary: (ticket: CanaryTicket) => Promise<CanarySeen | OtherTaskQueue>;
  /** Shows a canary to people. @throws ApplicationFailure as `previewCanary`; with RATE_LIMITED, ACTION_CONFLICT or FROZEN */
  readonly openCanary: (input: { readonly ticket: CanaryTicket; readonly seen: CanarySeen }) => Promise<OpenedCanary>;
  /** Ends a canary with a person's signed decision. @throws ApplicationFailure as `checkApproval`; with NOT_PENDING */
  readonly decideCanary: (token: string) => Promise<CanaryDecided>;
  /** Ends a canary that nobody decided on. */
  readonly endCanary: (ending: 'expired' | 'withdrawn') => Promise<Outcome>;
  /** Draws which canaries are due now. */
  readonly drawCanaries: () => Promise<readonly DueCanary[]>;
  /** Does what a person's signed command says. @throws ApplicationFailure with COMMAND_INVALID, ROLE_REQUIRED, NOT_FOUND, NOT_UNKNOWN … */
  readonly executeCommand: (command: string) => Promise<CommandResult>;
  /** Settles actions whose workflow ended without an outcome, was terminated or is gone. */
  readonly reconcile: (options: ReconcileOptions) => Promise<Reconciled>;
  /** Signs what was added to the audit trails, and anchors it. */
  readonly checkpointTrails: () => Promise<CheckpointRound>;
  /** Forgets what was over for longer than the operator keeps it. */
  readonly purge: (options: PurgeOptions) => Promise<Purged>;
  /** Finds out how an action that has ended can be undone, and authorizes the proposal that does. Has no effect on the tool's system. */
  readonly compensate: (request: CompensationRequest) => Promise<CompensationPlan>;
  /** Tells whether an action has an outcome, is running or is lost. */
  readonly actionState: (tenant: string, actionId: string) => Promise<ActionState>;
  /** The outcome that the ledger has for an action. @throws ApplicationFailure with NOT_FOUND */
  readonly recordedOutcome: (tenant: string, actionId: string) => Promise<Outcome>;
  /** Selects the channels that notify people. @throws ApplicationFailure with NOT_FOUND when there was no approval request */
  readonly route: (announcement: Announcement) => Promise<Routing>;
  /** Notifies people on one channel, once. @throws ApplicationFailure with DELIVERY_FAILED when another attempt is due */
  readonly notify: (announcement: Announcement, channel: string) => Promise<DeliveryEnd>;
  /** Tells of an alarm on one channel. Needs no ledger. @throws ApplicationFailure with DELIVERY_FAILED when another attempt is due */
  readonly tellAlarm: (telling: {
    readonly alarm: Pick<LedgerAlarm, 'kind' | 'tenant'>;
    readonly state: AlarmNotice['state'];
    readonly channel: string;
  }) => Promise<string>;
  /** Whether the ledger takes records again, and the tenant's next receipt. */
  readonly ledgerIsWhole: (tenant?: string) => Promise<boolean>;
  /** Records that a channel could not deliver the notification within `maxWaitMs`. */
  readonly giveUp: (announcement: Announcement, channel: string, reason: string) => Promise<DeliveryEnd>;
}

/** The channels on which people are notified, and for how long delivery is attempted. */
export interface Routing {
  readonly channels: readonly string[];
  readonly maxWaitMs: number;
}

/** How the delivery on one channel ended. The ledger records the same. */
export interface DeliveryEnd {
  readonly channel: string;
  readonly deliveryId: string;
  readonly status: 'delivered' | 'failed';
  readonly attempts: number;
  /** The provider's response, or why the delivery failed. */
  readonly detail: string;
}

/** The result of a signed command. */
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
  | { readonly kind: 'send_canary'; readonly canary: Canary; readonly receipt: ReceiptRef }
  /** As they are now: whoever acknowledged one first stays. */
  | { readonly kind: 'acknowledge_alerts'; readonly alerts: readonly RadarAlert[]; readonly receipt: ReceiptRef }
  /** The policy is in its new state, or more people have to sign the same. */
  | {
      readonly kind: 'promote_policy' | 'roll_back_policy' | 'shadow_policy' | 'retire_policy';
      /** The change that was made. Absent while more people have to sign it. */
      readonly change?: PolicyChange;
      /** How many people have signed it. */
      readonly signed: number;
      /** How many have to. Once the change is made, as many as signed it. */
      readonly needed: number;
      readonly receipt: ReceiptRef;
    }
  /** Workers that start from now on take these pins. */
  | { readonly kind: 'accept_pins'; readonly pins: Digest; readonly receipt: ReceiptRef }
  /** The person `by` decided how to continue with a compensation that failed. */
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
  /** Digest of the saga's manifest. */
  readonly digest: Digest;
  /** The agent's signature over the digest: the agent wants either all of these steps or none. */
  readonly signature: string;
  /** The agent's id, as it says itself: what another agent did under a step's id is no step. Absent in sagas that began before it was told. */
  readonly agent?: string;
}

/** A request to undo an action. */
export interface CompensationRequest {
  readonly tenant: string;
  /** The proposal of the action. Its digest must be the recorded one. */
  readonly proposal: Proposal;
  /** The saga that the action is a step of. Without one, an action is undone only after a mismatch, when its `onMismatch` says so. */
  readonly saga?: SagaManifest & {
    /** The agent's signature over the manifest's digest. */ readonly signature: string;
  };
  /** Action id of the attempt without effect after which a person ordered another one. */
  readonly retryOf?: string;
}

/** How to continue with an action that is to be undone. */
export type CompensationPlan =
  /** The compensation is to be carried out as an action of its own. */
  | { readonly kind: 'proposed'; readonly request: ActionRequest }
  /** An attempt began earlier and has no outcome yet. */
  | { readonly kind: 'underway'; readonly actionId: string }
  /** An earlier attempt has ended. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'nothing'; readonly reason: string }
  | { readonly kind: 'impossible'; readonly error: ErrorView }
  | OtherTaskQueue;

/** Whether an action has an outcome. Reading it does not wait for the action. */
export type ActionState =
  /** The action has an outcome. An `unknown` outcome may still be resolved. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'running' }
  /** No workflow runs the action, and the ledger has no outcome of it. `admitted`: it knows the action, which may have had an effect. */
  | { readonly kind: 'lost'; readonly admitted?: true };

/** What a round over the audit trails came to. */
export interface CheckpointRound {
  /** How many grants came into the trails before the receipts of their actions. */
  readonly entered: number;
  /** How many trails have a checkpoint over everything they have. */
  readonly tenants: number;
  /** How many of these are new. */
  readonly made: number;
  readonly problems: readonly (ErrorView & { readonly tenant: string })[];
}

export interface ReconcileOptions {
  /** Actions admitted later than this are left to their workflows. Milliseconds, default 60 000. */
  readonly olderThanMs?: number;
  /** Where the previous run stopped. */
  readonly after?: ActionCursor;
}

/** For how long each kind is kept after nothing needs it any more. Days; a kind that is not named is kept for good. */
export interface PurgeOptions {
  readonly days: { readonly [kind in RetentionKind | 'effects']?: number };
}

export interface Purged {
  /** How many of each kind went. */
  readonly gone: { readonly [kind in RetentionKind | 'effects']?: number };
  /** Tools of which nothing went, and why. The next run tries again. */
  readonly skipped?: readonly { readonly tool: string; readonly why: string }[];
  /** The run reached its bound: the next one goes on. */
  readonly more: boolean;
}

export type ActionCursor = Pick<OpenAction, 'tenant' | 'actionId' | 'admittedAt'>;

export interface Reconciled {
  /** How many open actions were looked at. */
  readonly seen: number;
  /** How many of them were settled. */
  readonly settled: number;
  /** How many actions were seen to that people made of others. Absent where there were none. */
  readonly edits?: number;
  /** Where the next run continues. Absent when all open actions were looked at. */
  readonly after?: ActionCursor;
}
