/** Draws canaries by the schedule that is in force, and by no other: a worker whose config says something else draws nothing. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import { canaryScheduleOf, differingMembers } from '../src/config/oversight.js';
import { workerName } from '../src/ledger/index.js';
import { drawCanaries } from './canary-round.js';
import type { DueCanary } from './contract.js';
import type { Dependencies } from './deps.js';

/** @throws CountersignError CANARY_INVALID (retryable: another worker may have the schedule in force), LEDGER_UNAVAILABLE */
export async function drawByScheduleInForce(deps: Dependencies): Promise<readonly DueCanary[]> {
  const { ledger, settings, taskQueue } = deps;
  const own = canaryScheduleOf(settings.canaries);
  const other = await ledger.canarySchedules.differing(taskQueue, digest(own), workerName());
  if (other === undefined) return drawCanaries(settings.canaries, ledger.clock.now());
  const differs = differingMembers(own, other.schedule);
  const { by, at } = other;
  const message = `This worker has another schedule of canaries than the one in force, which ${by} put there at ${at}.`;
  Context.current().log.warn(message, { alarm: 'canary_schedule_differs', taskQueue, differs, inForceBy: by });
  throw new CountersignError('CANARY_INVALID', `${message} They differ in ${differs.join(', ')}.`, {
    field: 'oversight.canaries',
    expected: 'the same `oversight.canaries` in the config of every worker of a task queue',
    fix: 'Give all workers the same config, and restart them: the one that starts last puts its schedule in force.',
    retryable: true,
  });
}
