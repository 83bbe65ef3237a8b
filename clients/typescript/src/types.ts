/** What is proposed and what comes back. The shapes of the gateway's answers are those of its OpenAPI document. */
import type { Action, NotBegun, Outcome, Proposal, Saga } from './api.js';

export type {
  Action,
  Actions as ActionPage,
  DryRun,
  Me,
  NotBegun,
  Outcome,
  ReceiptRef,
  Saga as SagaView,
} from './api.js';

/** JSON as it can be given: nothing is changed. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json | undefined;
}

/** A proposal as agent code writes it. */
export interface ProposalInput extends Omit<Readonly<Proposal>, 'actionId' | 'input' | 'expect'> {
  /** Your idempotency key. Give one whenever the same action may be asked for again. Default: a random UUID. */
  readonly actionId?: string;
  /** The tool's own input. */
  readonly input: JsonObject;
  /** What must be true afterwards: CEL over `pre`, `post`, `delta` and `result`. */
  readonly expect?: string | Expect | readonly NamedExpect[];
}

export interface Expect {
  readonly cel: string;
  /** How long the real system may take to show it. Milliseconds, default 0. */
  readonly withinMs?: number;
}

export interface NamedExpect extends Expect {
  readonly name: string;
}

export type OutcomeStatus = Outcome['status'];

/** Who an action waits for, as an agent may know it. */
export type PendingView = NonNullable<Action['pending']>;

export interface WaitOptions {
  /** How long to wait. Milliseconds. The action goes on regardless. */
  readonly timeoutMs?: number | undefined;
  /**
   * Where a person changed the proposal (`revisedBy`): answers with what became of the action that is done instead, which has its own
   * `actionId`. Default false; adapters and `guard` do.
   */
  readonly followEdits?: boolean | undefined;
  /** Ends the wait, not the action. */
  readonly signal?: AbortSignal | undefined;
}

/** An action that waits for people. */
export interface PendingAction {
  readonly status: 'pending';
  readonly tenant: string;
  readonly actionId: string;
  readonly reason: string;
  readonly pending: PendingView;
  /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
  outcome(options?: WaitOptions): Promise<Outcome>;
}

/** What became of a batch: of each of its actions, in the order of the proposals. */
export interface BatchAnswer {
  /** False: none was begun that was not begun before. */
  readonly begun: boolean;
  readonly actions: readonly BatchedAction[];
}

export type BatchedAction = Outcome | PendingAction | ActionUnderWay | NotBegun;

/** An action that goes on: ask for its outcome. `error`: why nothing more is known of it now. */
export type ActionUnderWay = Action & { readonly status: 'open' };

/** A saga as agent code writes it. */
export interface SagaInput {
  /** Names the saga: the same steps under it again return what became of it. */
  readonly traceId: string;
  /** 1 to 20 proposals, in order. None may use what another returns. An `actionId` that is left out is `<traceId>:<n>`. */
  readonly steps: readonly Omit<ProposalInput, 'traceId' | 'onMismatch'>[];
}

/** How a saga ended; or that it needs a person first, and what for. */
export type SagaResult = (Saga & { readonly status: 'success' | 'compensated' | 'compensation_failed' }) | WaitingSaga;

export type WaitingSaga = Saga & {
  readonly status: 'needs_person';
  /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
  outcome(options?: SagaWaitOptions): Promise<Saga>;
};

export type SagaWaitOptions = Omit<WaitOptions, 'followEdits'>;

export interface ListOptions {
  /** One or several. */
  readonly status?: Action['status'] | readonly Action['status'][];
  readonly tool?: string;
  readonly agent?: string;
  readonly environment?: string;
  readonly effect?: NonNullable<Action['effect']>;
  readonly policy?: string;
  /** The beginning of the id, or a part of agent, tool, reason or summary. */
  readonly text?: string;
  /** Proposed from then on, RFC 3339. */
  readonly from?: string;
  readonly to?: string;
  /** The `next` of the page before. */
  readonly cursor?: string;
  /** 1 to 200, default 25. */
  readonly limit?: number;
}
