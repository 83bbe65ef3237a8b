/** Whether the schedule of canaries in force is the one of the config at hand, and of the workers that drew by it. */
import { canaryScheduleOf, canarySettingsOf, differingMembers, type OversightConfig } from '../config/oversight.js';
import type { Ledger } from '../ledger/index.js';

interface CanaryStanding {
  readonly ok: boolean;
  readonly detail: string;
  readonly fix: string;
}

/** Undefined where neither sends any. */
export async function canaryStanding(
  { canarySchedules }: Pick<Ledger, 'canarySchedules'>,
  taskQueue: string,
  oversight: OversightConfig | undefined,
): Promise<CanaryStanding | undefined> {
  const settings = canarySettingsOf(oversight);
  const own = canaryScheduleOf(settings);
  const found = await canarySchedules.inForce(taskQueue);
  if (found === undefined) {
    if (settings.perWeek === 0) return undefined;
    const fix = 'Start a worker: it puts the schedule of its config in force.';
    return { ok: false, detail: `no schedule is in force on ${taskQueue}`, fix };
  }
  const { schedule, by, at, other } = found;
  if (settings.perWeek === 0 && schedule['perWeek'] === 0) return undefined;
  const inForce = `the schedule in force is that of ${by}, since ${at}`;
  const differs = differingMembers(own, schedule);
  const fix =
    'Give all workers the same config, and restart those that have another: the one that starts last puts its schedule in force.';
  if (differs.length > 0)
    return {
      ok: false,
      detail: `${inForce}; it is not that of this config: they differ in ${differs.join(', ')}`,
      fix,
    };
  if (other !== undefined)
    return { ok: false, detail: `${inForce}; ${other.by} has another one, and drew nothing at ${other.at}`, fix };
  return { ok: true, detail: `${inForce}: ${settings.perWeek} a week`, fix };
}
