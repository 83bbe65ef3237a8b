/**
 * Two worlds side by side: the limits as they were counted, and as they would have been counted under the candidate. Where the two do not
 * differ, what was read then is read again, to the letter. Where they do, what was read then is changed by what differs between them, so
 * that what the records do not show (what was counted before the first of them) counts in both.
 */
import type { LimitDemand, LimitFigure, LimitReading } from '../../action/limits.js';
import { bareReading } from '../limits/figures.js';
import type { ResolvedLimit } from '../limits/resolved.js';
import { askOf, sum, type Ask } from './counter.js';
import { Counters, counterId } from './counters.js';
import { slotBegins, slotOf } from './windows.js';

export class Worlds {
  readonly recorded = new Counters();
  readonly candidate = new Counters();

  /**
   * Where the candidate's counters stand for an action.
   *
   * @param before what the recorded policy asked of its limits; undefined when that policy is not known
   * @param figures what was read then
   */
  read(
    { tenant, actionId }: { readonly tenant: string; readonly actionId: string },
    limits: readonly ResolvedLimit[],
    before: readonly ResolvedLimit[] | undefined,
    figures: readonly LimitFigure[],
    at: number,
  ): readonly LimitReading[] {
    const known = new Map(figures.map((figure) => [idOf(tenant, figure), figure]));
    const asked = new Map(before?.map(({ demand }) => [counterId(tenant, demand), demand]));
    return limits.map(({ demand }) => {
      const now = this.candidate.read(tenant, actionId, demand, at);
      const id = counterId(tenant, demand);
      const [figure, then] = [known.get(id), asked.get(id)];
      if (figure === undefined || then === undefined) return now;
      const model = this.recorded.read(tenant, actionId, then, at);
      return corrected(demand, now, then, model, figure, at);
    });
  }
}

function idOf(tenant: string, { limit, key, kind }: LimitFigure): string {
  return kind === 'depth' ? `${tenant}\n${limit}` : counterId(tenant, { limit, key, kind });
}

function corrected(
  demand: LimitDemand,
  now: LimitReading,
  then: LimitDemand,
  model: LimitReading,
  figure: LimitFigure,
  at: number,
): LimitReading {
  const [ask, before] = [askOf(demand), askOf(then)];
  if (sameAsk(ask, before) && sameReading(now, model))
    return bareReading({ ...figure, limit: now.limit, key: now.key, kind: now.kind });
  const sums = ask.kind === 'budget' || ask.kind === 'count' || ask.kind === 'concurrency';
  if (!sums || ask.width !== before.width || ask.keep !== before.keep || ask.zone !== before.zone) return now;
  const used = Math.max(0, sum(figure.used, now.used, -model.used));
  const held = Math.max(0, sum(figure.held, now.held, -model.held));
  const room = sum(ask.max, -used, -held);
  const fits = ask.amount <= room || ask.amount === 0;
  const { limit, key, kind } = now;
  const reading = { limit, key, kind, max: ask.max, used, held, left: Math.max(room, 0), fits };
  const retryAfterMs = fits ? undefined : (now.retryAfterMs ?? windowEndsIn(ask, at) ?? figure.retryAfterMs);
  return retryAfterMs === undefined ? reading : { ...reading, retryAfterMs };
}

function windowEndsIn({ amount, max, width, keep, zone }: Ask, at: number): number | undefined {
  if (amount > max || width === 0 || keep > 0) return undefined;
  return Math.ceil((slotBegins(slotOf(at, width, zone) + 1, width, zone) - at) / 1000);
}

function sameAsk(one: Ask, other: Ask): boolean {
  return (Object.keys(one) as (keyof Ask)[]).every((field) => one[field] === other[field]);
}

function sameReading(one: LimitReading, other: LimitReading): boolean {
  return (
    one.used === other.used &&
    one.held === other.held &&
    one.left === other.left &&
    one.fits === other.fits &&
    one.state === other.state &&
    one.retryAfterMs === other.retryAfterMs
  );
}
