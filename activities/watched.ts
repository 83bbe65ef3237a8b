/** Whether the radar looks at the tool's system, where the config says that nothing may be changed there while it does not. */
import type { ActionType } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Tool } from '../src/tools/tool.js';
import type { Dependencies } from './deps.js';

/** A radar that reads a log that grew may take this much longer than usual. Milliseconds. */
const LOOK_MS = 60_000;

/** How long ago the radar may have looked last; undefined where the action may be done unwatched. Reads change nothing. */
export function watchedWithinMs({ radar }: Pick<Tool, 'radar'>, actionType: ActionType): number | undefined {
  return radar?.required === true && actionType !== 'READ' ? LOOK_MS + 2 * radar.everyMs : undefined;
}

/** Before people are asked: the gate before the effect checks it again. @throws CountersignError RADAR_OFF */
export async function assertWatched(
  tool: Pick<Tool, 'name' | 'radar'>,
  actionType: ActionType,
  { ledger }: Pick<Dependencies, 'ledger'>,
): Promise<void> {
  const within = watchedWithinMs(tool, actionType);
  if (within !== undefined && !(await ledger.radar.isWatched(tool.name, within))) throw radarOff(tool.name);
}

/** It says nothing of the system: agents read it. */
export function radarOff(tool: string): CountersignError {
  return new CountersignError('RADAR_OFF', `The system of ${tool} must be watched by the radar, which does not look.`, {
    field: 'proposal.tool',
    expected: 'a tool whose system is watched',
    fix: 'See why it does not look: countersign radar status. Propose again once it does.',
  });
}
