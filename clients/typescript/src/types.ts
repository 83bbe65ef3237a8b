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
/** A JSON object. A member that is undefined is not sent. */
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

/** What must be true after the effect, and by when. */
export interface Expect {
  /** CEL over `pre`, `post`, `delta` and `result` that yields a boolean. */
  readonly cel: string;
  /** How long the real system may take to show it. Milliseconds from 0 to 600,000, default 0. */
  readonly withinMs?: number;
}

/** One of several expectations. Each is a check of its own, `expect.<name>`. */
export interface NamedExpect extends Expect {
  readonly name: string;
}

/**
 * How an action ended:
 *
 * - `success`: the effect was made, and the system is as promised;
 * - `mismatch`: it was made, and the system is not;
 * - `failed`: the tool refused it or could not make it, and nothing was done;
 * - `denied`: it was refused by policy, a limit, a freeze or a person, or a step before the effect failed;
 * - `expired`: nobody decided in time;
 * - `cancelled`: it was stopped before its effect;
 * - `unknown`: nobody can tell yet whether the effect happened.
 */
export type OutcomeStatus = Outcome['status'];

/** Who an action waits for, as an agent may know it. */
export type PendingView = NonNullable<Action['pending']>;

/** How a call waits for what becomes of an action. */
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

/** What became of one action of a batch. Its `status` tells which of these it is. */
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

/** A saga that waits for a person. Once they have decided it goes on by itself. */
export type WaitingSaga = Saga & {
  readonly status: 'needs_person';
  /** Waits for the end, however long people take. @throws CountersignError TIMED_OUT after `timeoutMs`, if given */
  outcome(options?: SagaWaitOptions): Promise<Saga>;
};

/** How a call waits for a saga. `timeoutMs`: default 60 000 of `saga`; `sagaOutcome` waits for as long as it takes. */
export type SagaWaitOptions = Omit<WaitOptions, 'followEdits'>;

/** Which actions are listed. A condition that is left out fits all of them. */
export interface ListOptions {
  /** One or several. */
  readonly status?: Action['status'] | readonly Action['status'][];
  /** The whole name of the tool. */
  readonly tool?: string;
  /** The whole id of the agent: yours, or of one below you. */
  readonly agent?: string;
  /** That of the tool: `production`. */
  readonly environment?: string;
  /** Of the decision. Only actions that have ended are found by it. */
  readonly effect?: NonNullable<Action['effect']>;
  /** The `@id` of a policy that determined the decision. Only actions that have ended are found by it. */
  readonly policy?: string;
  /** The beginning of the id, or a part of agent, tool, reason or summary. */
  readonly text?: string;
  /** Ended at this time or later; of those that are open, proposed. RFC 3339. */
  readonly from?: string;
  /** Before this time, RFC 3339. */
  readonly to?: string;
  /** The `next` of the page before. */
  readonly cursor?: string;
  /** 1 to 200, default 25. */
  readonly limit?: number;
}
