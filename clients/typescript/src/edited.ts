/** Follows a proposal that a person changed to the action that is done instead, and that one, should it be changed again. */
import { CountersignError } from './errors.js';
import { delay } from './retry-after.js';
import type { Transport } from './transport.js';
import type { Action, Outcome } from './types.js';
import { pathOf, pause, timedOut, type Until } from './waiting.js';

/** The end of the first action is recorded before the other begins. Where that one never does, the first is all there is. */
const BEGINS_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 250;

/**
 * @returns the outcome of what is done in the end, or the action that waits for people
 * @throws CountersignError TIMED_OUT
 */
export async function followed(transport: Transport, ended: Outcome, until: Until): Promise<Outcome | Action> {
  let outcome = ended;
  while (outcome.revisedBy !== undefined) {
    const next = await begun(transport, outcome.revisedBy, until);
    if (next === undefined) return outcome;
    if (next.status === 'pending') return next;
    outcome = next as Outcome;
  }
  return outcome;
}

async function begun(transport: Transport, actionId: string, until: Until): Promise<Outcome | Action | undefined> {
  const givenUp = Date.now() + BEGINS_WITHIN_MS;
  for (let waitSeconds = 0; ;) {
    try {
      const answer = await transport.send({
        method: 'GET',
        path: `${pathOf(actionId)}/outcome`,
        waitSeconds,
        ...until,
      });
      if (answer.status === 200) return answer.body as Outcome;
      const action = answer.body as Action;
      if (action.status === 'pending') return action;
      if (waitSeconds > 0) await pause(answer, until);
      // Whether it waits for people is told no sooner than the time to wait is over.
      waitSeconds = 1;
    } catch (error) {
      if (!(error instanceof CountersignError) || error.code !== 'NOT_FOUND') throw error;
      if (Date.now() >= givenUp) return undefined;
      await delay(LOOK_AGAIN_MS, until.signal);
    }
    if (Date.now() >= until.deadline) throw timedOut(actionId);
  }
}
