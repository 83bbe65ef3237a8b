/** Which of a workflow's actions wait for people, as they tell it by a signal. */
import { setHandler } from '@temporalio/workflow';
import { childStatusSignal } from '../../workflows/messages.js';
import type { WaitsFor } from '../action/saga.js';

interface Underway {
  /** How many calls in this workflow wait for the action. */
  calls: number;
  waitsFor?: WaitsFor;
}

/**
 * The actions of the workflow that runs. Not in the module, which workflows may share, nor in what `proxyTrustedActions` returns, of which a
 * workflow may have several while it has one handler of the signal: each workflow has global properties of its own.
 */
const UNDERWAY = Symbol.for('countersign.underway');

function underway(): Map<string, Underway> {
  const workflow = globalThis as { [UNDERWAY]?: Map<string, Underway> };
  if (workflow[UNDERWAY] !== undefined) return workflow[UNDERWAY];
  const actions = new Map<string, Underway>();
  workflow[UNDERWAY] = actions;
  // Shown, never acted on: anybody can send it. What is no action of this workflow is ignored.
  setHandler(childStatusSignal, ({ waits, ...waitsFor }) => {
    const action = actions.get(waitsFor.actionId);
    if (action === undefined) return;
    if (waits) action.waitsFor = waitsFor;
    else delete action.waitsFor;
  });
  return actions;
}

/** Runs the body as a call that waits for the action. */
export async function asCall<T>(actionId: string, body: () => Promise<T>): Promise<T> {
  const actions = underway();
  const action = actions.get(actionId) ?? { calls: 0 };
  actions.set(actionId, action);
  action.calls++;
  try {
    return await body();
  } finally {
    if (--action.calls === 0) actions.delete(actionId);
  }
}

export function waiting(): readonly WaitsFor[] {
  return [...underway().values()].flatMap(({ waitsFor }) => waitsFor ?? []);
}
