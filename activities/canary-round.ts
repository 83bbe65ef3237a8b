/** Draws which canaries are due: at random, so that nobody can know when one comes. Started by a schedule. */
import { randomInt, randomUUID } from 'node:crypto';
import type { DueCanary } from './contract.js';
import { WORKING_DAYS, type CanarySettings } from '../src/config/oversight.js';

/** How often it is drawn: at a moment of its own within each such length of time. Milliseconds. */
export const CANARY_ROUND_MS = 15 * 60_000;

const HOUR_MS = 3_600_000;
const FINE = 2 ** 32;

export function drawCanaries(canaries: CanarySettings, now: Date): readonly DueCanary[] {
  const odds = canaryOdds(canaries, now);
  const names = Object.keys(canaries.templates);
  return canaries.tenants.flatMap((tenant): DueCanary[] => {
    const template = names[randomInt(Math.max(1, names.length))];
    if (template === undefined || randomInt(FINE) / FINE >= odds) return [];
    return [{ tenant, actionId: randomUUID(), ticket: { template, nonce: randomUUID() } }];
  });
}

/** How likely one is due in a round: over the hours of a week, `perWeek` are. None outside of them, whatever the odds. */
export function canaryOdds({ perWeek, hours }: Pick<CanarySettings, 'perWeek' | 'hours'>, now: Date): number {
  const { from, to, timeZone = 'UTC', days = WORKING_DAYS } = hours;
  const parts = new Intl.DateTimeFormat('en', { timeZone, weekday: 'short', hour: 'numeric', hourCycle: 'h23' });
  const { weekday, hour = '' } = Object.fromEntries(parts.formatToParts(now).map(({ type, value }) => [type, value]));
  if (!days.some((day) => day === weekday) || Number(hour) < from || Number(hour) >= to) return 0;
  return Math.min(1, (perWeek * CANARY_ROUND_MS) / (days.length * (to - from) * HOUR_MS));
}
