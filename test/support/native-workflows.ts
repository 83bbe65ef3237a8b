/** Workflows as users of Temporal write them: they propose from inside, in each of the situations that must be defined. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import { proxyTrustedActions, type Outcome, type Proposal, type WaitsFor } from '../../src/workflow/index.js';

const guarded = proxyTrustedActions({ agent: 'clerk' });
export const waitingQuery = defineQuery<readonly WaitsFor[]>('waiting');

export async function inTurn(...proposals: readonly Proposal[]): Promise<readonly Outcome[]> {
  setHandler(waitingQuery, () => guarded.waiting());
  const outcomes: Outcome[] = [];
  for (const proposal of proposals) outcomes.push(await guarded.perform(proposal));
  return outcomes;
}

export async function atOnce(...proposals: readonly Proposal[]): Promise<readonly Outcome[]> {
  return Promise.all(proposals.map((proposal) => guarded.perform(proposal)));
}

/** Continues as new as soon as people are asked, and asks again. */
export async function continued(proposal: Proposal, again: boolean): Promise<Outcome> {
  const outcome = guarded.perform(proposal);
  if (again) return outcome;
  await condition(() => guarded.waiting().length > 0);
  return continueAsNew<typeof continued>(proposal, true);
}

/** Waits for what a person made of the proposal. */
export async function followed(proposal: Proposal): Promise<readonly Outcome[]> {
  const outcome = await guarded.perform(proposal);
  if (outcome.revisedBy === undefined) return [outcome];
  return [outcome, await guarded.outcome({ ...outcome, actionId: outcome.revisedBy })];
}

export async function cancelledBefore(proposal: Proposal): Promise<string> {
  const scope = new CancellationScope();
  scope.cancel();
  try {
    return (await scope.run(() => guarded.perform(proposal))).status;
  } catch (failure) {
    return isCancellation(failure) ? 'nothing was proposed' : String(failure);
  }
}

export async function asStranger(proposal: Proposal): Promise<Outcome> {
  return proxyTrustedActions({ agent: 'stranger' }).perform(proposal);
}

export async function awaited(action: Pick<Outcome, 'tenant' | 'actionId'>): Promise<Outcome> {
  return guarded.outcome(action);
}

/** A framework that sends the same calls twice; the second pair is another pair of calls. */
export async function calledTwice(id: number): Promise<readonly object[]> {
  const addNote = guarded.asTool((note: string) => ({
    tool: 'shop-db',
    input: { op: 'insert', table: 'notes', rows: [{ id, note }] },
  }));
  const call = { toolCallId: 'call_1' };
  const [first, second] = await Promise.all([addNote('one', call), addNote('one', call)]);
  return [first, second, await addNote('\u0000', { toolCallId: 'call_2' })];
}
