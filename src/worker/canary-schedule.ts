/** Puts this worker's schedule of canaries in force, and says so where it takes the place of another. */
import type { Logger } from 'pino';
import { canaryScheduleOf, canarySettingsOf, differingMembers, type OversightConfig } from '../config/oversight.js';
import { workerName, type Ledger } from '../ledger/index.js';

export async function putCanariesInForce(
  { canarySchedules }: Pick<Ledger, 'canarySchedules'>,
  taskQueue: string,
  oversight: OversightConfig | undefined,
  logger: Logger,
): Promise<void> {
  const own = canaryScheduleOf(canarySettingsOf(oversight));
  const before = await canarySchedules.put(taskQueue, own, workerName());
  if (before === undefined) return;
  const { by, at, schedule } = before;
  logger.warn(
    {
      alarm: 'canary_schedule_changed',
      taskQueue,
      differs: differingMembers(own, schedule),
      before: { by, at },
    },
    'the schedule of canaries in force is that of this worker now; workers that still have the one before draw nothing until they are restarted',
  );
}
