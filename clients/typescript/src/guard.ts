/** `countersign-client/guard`: functions that propose instead of doing. For plain code, agent loops of one's own, and the adapters. */
import { actionIdOf, traceIdOf } from './action-id.js';
import type { Countersign } from './client.js';
import { errorForModel, forModel, type ToolAnswer } from './for-model.js';
import type { Outcome, PendingAction, ProposalInput, WaitOptions } from './types.js';

/** What the arguments of a call come to, without what says which call it is. */
export type Proposed = Omit<ProposalInput, 'actionId'>;

/** Makes what is proposed of the arguments of a call. What it throws, the call throws, and nothing is proposed. */
export type Propose<Args> = (args: Args) => Proposed | Promise<Proposed>;

/** Which call it is: the same call again is the same action. `actionId` names it outright. */
export interface GuardedCall extends WaitOptions {
  /** The id of the action. Default: derived from `id` and `thread`; without an `id` a random UUID. */
  readonly actionId?: string | undefined;
  /** The framework's id of the call. */
  readonly id?: string | undefined;
  /** The conversation: ids of calls are unique within it, as a rule. */
  readonly thread?: string | undefined;
}

/** Proposes. Answers with the outcome, or that it waits for people. @throws CountersignError as `Countersign.perform` does */
export type Guarded<Args> = (args: Args, call?: GuardedCall) => Promise<Outcome | PendingAction>;

/**
 * Makes a function that proposes what `propose` makes of its arguments. The action's id is derived from the call's `id` and `thread`, so
 * that the same call, sent twice or repeated by another process after a restart, is the same action. Without an `id` every call is another.
 * Where a person changed what was proposed, the answer is what became of the action that is done instead.
 */
export function guard<Args>(cs: Countersign, propose: Propose<Args>): Guarded<Args> {
  return async (args, { actionId, id, thread, ...wait } = {}) => {
    const proposed = await propose(args);
    const traceId = proposed.traceId ?? (thread === undefined ? undefined : await traceIdOf(thread));
    const named = actionId ?? (id === undefined ? undefined : await actionIdOf({ id, thread }, proposed));
    const proposal = {
      ...proposed,
      ...(named === undefined ? {} : { actionId: named }),
      ...(traceId === undefined ? {} : { traceId }),
    };
    return cs.perform(proposal, { followEdits: true, ...wait });
  };
}

/** What becomes of a call whose action waits for people. */
export type OnPending =
  /** The framework's own pause, which outlives this process. */
  | 'pause'
  /** The call waits, however long people take. */
  | 'wait'
  /** The model is told that it waits, and goes on. */
  | 'tell';

/**
 * Calls it as a tool is called: answers what the model is to be told. Errors that the model can do nothing about are thrown.
 *
 * @param whenPending what is done with an action that waits: it may throw, wait, or return it for the model to be told
 */
export async function callAsTool(
  call: () => Promise<Outcome | PendingAction>,
  whenPending: (pending: PendingAction) => Promise<Outcome | PendingAction>,
): Promise<ToolAnswer> {
  try {
    const answer = await call();
    return forModel(answer.status === 'pending' ? await whenPending(answer) : answer);
  } catch (error) {
    const told = errorForModel(error);
    if (told === undefined) throw error;
    return told;
  }
}

export { forModel, type ToolAnswer };
