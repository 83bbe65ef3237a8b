/** What becomes of a mismatch that the proposal wants undone. */
import { condition, setHandler } from '@temporalio/workflow';
import type { CompensationRef, Outcome } from '../src/action/outcome.js';
import type { Action } from './action.js';
import { startCompensation } from './children.js';
import { childStatusSignal } from './messages.js';

/** How long an action waits to tell what became of undoing it. */
const UNDOING_MAX_WAIT_MS = 10_000;

/** Told with the outcome when it is quickly done. What takes longer, people most of all, goes on without the action. */
export async function compensated({ request, tenant }: Action, outcome: Outcome): Promise<Outcome> {
  const { proposal } = request;
  if (outcome.status !== 'mismatch' || proposal.onMismatch !== 'compensate') return outcome;
  let compensation: CompensationRef = { status: 'running' };
  setHandler(childStatusSignal, ({ waits }) => {
    if (waits) compensation = { status: 'needs_person' };
  });
  const child = await startCompensation({ tenant, proposal });
  const follow = async (undoing: NonNullable<typeof child>): Promise<void> => {
    const { status, actionId } = await undoing.result();
    compensation = { status, ...(actionId === undefined ? {} : { actionId }) };
  };
  // One that is ended from outside has told nothing.
  if (child !== undefined) follow(child).catch(() => {});
  await condition(() => compensation.status !== 'running', UNDOING_MAX_WAIT_MS);
  return { ...outcome, compensation };
}
