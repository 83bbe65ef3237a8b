/** One agent action, from proposal to verified outcome. Its history is the audit trail. */
import { CancellationScope, TemporalFailure } from '@temporalio/workflow';
import type { ActionRequest } from '../activities/contract.js';
import type { Outcome } from '../src/action/outcome.js';
import { Action } from './action.js';
import { compensated } from './compensated.js';
import { startEdited } from './edited.js';
import { errorView } from './failures.js';
import { AlreadyRecorded, Ends, LooksAgain } from './interruptions.js';
import {
  authorize,
  capturePostState,
  capturePreState,
  enforce,
  execute,
  propose,
  requestApproval,
  settle,
  verify,
} from './pipeline.js';

/**
 * Workflow id: `<tenant>/<actionId>`. Always returns an outcome: a refusal, a failure and a cancellation are outcomes too.
 *
 * Nothing in here is cancelled by the workflow's cancellation but the effect itself: whatever was begun is brought to a truth.
 */
export function trustedAction(request: ActionRequest): Promise<Outcome> {
  const action = new Action(request);
  return CancellationScope.nonCancellable(async () => {
    const outcome = await compensated(action, await run(action));
    await startEdited(action, outcome);
    return action.end(outcome);
  });
}

/**
 * A step that says no ends the action, and so does one that cannot be carried out before the effect. One that finds that something has
 * changed, or that people have decided, begins it again.
 */
async function run(action: Action): Promise<Outcome> {
  for (;;) {
    try {
      return await pipeline(action);
    } catch (interruption) {
      if (interruption instanceof LooksAgain) continue;
      if (interruption instanceof AlreadyRecorded) return interruption.outcome;
      if (interruption instanceof Ends) return settle(action, interruption.ending);
      if (interruption instanceof TemporalFailure && action.phase === 'preparing') {
        return settle(action, { kind: 'step_failed', error: errorView(interruption) });
      }
      throw interruption;
    }
  }
}

async function pipeline(action: Action): Promise<Outcome> {
  const proposed = await propose(action);
  const enforced = await enforce(action, proposed);
  const pre = await capturePreState(action, proposed);
  const approved = await requestApproval(action, enforced, pre);
  const authorized = await authorize(action, { enforced, pre, approved });
  const report = await execute(action, authorized);
  const post = await capturePostState(action, authorized, report);
  return verify(action, { authorized, report, post });
}
