/** Begins what a person made of the proposal, once it is on record that this ended the action. */
import type { Outcome } from '../src/action/outcome.js';
import type { Action } from './action.js';
import { startAction } from './children.js';

/** Nothing where the action ended otherwise. Begun before the action ends, because Temporal does not start a child whose parent has closed. */
export async function startEdited({ tenant, edited }: Action, { revisedBy }: Outcome): Promise<void> {
  if (edited !== undefined && edited.proposal.actionId === revisedBy) await startAction(tenant, edited);
}
