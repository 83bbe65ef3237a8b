/** The messages that a running action answers. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Digest } from '../src/action/json.js';
import type { Proposal, ProposalWords } from '../src/action/proposal.js';
import type { ActionView, OutcomeReply } from '../src/action/outcome.js';
import type { DecideReply } from '../src/action/outcome.js';
import type { CommandResult } from '../activities/contract.js';
import type { CompensationView, SagaView, WaitsFor } from '../src/action/saga.js';

/** Answers with the outcome, or as soon as the action waits for people. Refused with ACTION_CONFLICT for any other proposal's digest. */
export const outcomeUpdate = defineUpdate<OutcomeReply, [digest: Digest]>('outcome');

/** What an agent said when it proposed the same action again, with its signature over the proposal that has these words. */
export interface Restatement {
  readonly words: ProposalWords;
  readonly signature: string;
}

/**
 * Keeps the words of a repeated call in the history. They change nothing: people decide on the words that they were shown. Refused with
 * NOT_PENDING when the action has ended, or has kept as many as it keeps.
 */
export const restateUpdate = defineUpdate<void, [restatement: Restatement]>('restate');

/**
 * A person's signed decision; where it is an edit, with what they made of the proposal. Answers at once whether it counts; refused with
 * APPROVAL_*, PASSKEY_*, CREDENTIAL_REVOKED, EDIT_INVALID or NOT_PENDING.
 */
export const decideUpdate = defineUpdate<DecideReply, [token: string, edited?: Proposal]>('decide');

/** The same for those who can only signal, such as `temporal workflow signal`. What is refused is listed in the view. */
export const decideSignal = defineSignal<[token: string, edited?: Proposal]>('decide');

export const viewQuery = defineQuery<ActionView>('view');

/** What a child tells its parent: that it waits for a person, or no more. Shown, never acted on: anybody can send it. */
export interface ChildStatus extends WaitsFor {
  readonly waits: boolean;
}

export const childStatusSignal = defineSignal<[status: ChildStatus]>('childStatus');

/**
 * Answers when the saga has ended, or as soon as it waits for a person. Refused at once with ACTION_CONFLICT for any other saga's digest, and for an
 * agent that did not propose it; `agent` is whoever asks, as they say themselves.
 */
export const sagaUpdate = defineUpdate<SagaView, [digest: Digest, agent: string | undefined]>('outcome');

export const sagaQuery = defineQuery<SagaView>('view');

/** A person's signed command on an undoing that failed. Refused with COMMAND_INVALID, ROLE_REQUIRED or NOT_PENDING. */
export const recoverUpdate = defineUpdate<CommandResult, [token: string]>('recover');

/** Answers whoever sent a canary when people are shown it. Refused with the code of what stood against it. */
export const canarySentUpdate = defineUpdate<CommandResult>('canarySent');

/** Says that the ledger was met broken once more. */
export const brokenSignal = defineSignal('broken');

export const compensationQuery = defineQuery<CompensationView>('view');
