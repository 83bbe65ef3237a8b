/** The messages that a running action answers. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Digest } from '../src/action/json.js';
import type { ActionView, OutcomeReply } from '../src/action/outcome.js';
import type { DecideReply } from '../src/action/outcome.js';

/** Answers with the outcome, or as soon as the action waits for people. Refused with ACTION_CONFLICT for any other proposal's digest. */
export const outcomeUpdate = defineUpdate<OutcomeReply, [digest: Digest]>('outcome');

/** A person's signed decision. Answers at once whether it counts; refused with APPROVAL_* or NOT_PENDING. */
export const decideUpdate = defineUpdate<DecideReply, [token: string]>('decide');

/** The same for those who can only signal, such as `temporal workflow signal`. What is refused is listed in the view. */
export const decideSignal = defineSignal<[token: string]>('decide');

export const viewQuery = defineQuery<ActionView>('view');
