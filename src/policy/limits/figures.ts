/** Figures: limits as people, agents and policies see them, one for each counter, with a sentence. */
import { CountersignError } from '../../action/errors.js';
import { withoutUndefined } from '../../action/json.js';
import type { LimitDemand, LimitFigure, LimitReading } from '../../action/limits.js';
import type { ResolvedLimit } from './resolved.js';

/**
 * Converts the readings of the ledger to figures, in the order of the limits.
 *
 * @throws CountersignError INTERNAL when the readings are not those of the limits: then they mean nothing
 */
export function figuresOf(limits: readonly ResolvedLimit[], readings: readonly LimitReading[]): readonly LimitFigure[] {
  const several = new Set<string>();
  const seen = new Set<string>();
  for (const { demand } of limits) (seen.has(demand.limit) ? several : seen).add(demand.limit);
  return paired(limits, readings).map(([{ demand, label }, reading]) => {
    const { limit } = reading;
    const unit = unitOf(demand);
    return {
      ...bareReading(reading),
      ...(unit === undefined ? {} : { unit }),
      text: `${several.has(limit) ? label : limit}: ${usageText({ ...reading, ...(unit === undefined ? {} : { unit }) })}`,
    };
  });
}

/** The reading without whatever else the object has, such as a figure's sentence. */
export function bareReading(reading: LimitReading): LimitReading {
  const { limit, key, kind, max, used, held, left, fits, retryAfterMs, state } = reading;
  return withoutUndefined({ limit, key, kind, max, used, held, left, fits, retryAfterMs, state });
}

/** Pairs each limit with its reading. @throws CountersignError INTERNAL when the readings are not those of the limits */
export function paired(
  limits: readonly ResolvedLimit[],
  readings: readonly LimitReading[],
): readonly (readonly [ResolvedLimit, LimitReading])[] {
  return limits.map((limit, index) => {
    const reading = readings[index];
    const { demand } = limit;
    const same = reading?.limit === demand.limit && reading.key === demand.key && reading.kind === demand.kind;
    if (reading !== undefined && same && readings.length === limits.length) return [limit, reading];
    throw new CountersignError('INTERNAL', 'The readings of the limits are not those that were asked for.', {
      field: limit.label,
    });
  });
}

export function depthFigure(limit: string, max: number, used: number): LimitFigure {
  const left = Math.max(0, max - used);
  const text = `${limit}: ${used} of ${max} delegations deep`;
  return { limit, key: '', kind: 'depth', max, used, held: 0, left, fits: used <= max, text };
}

/** The state of a counter in words: `380 of 500 EUR left`, `1 of 2 free`, `open`. */
export function usageText({
  kind,
  left,
  max,
  unit,
  state,
}: Pick<LimitFigure, 'kind' | 'left' | 'max' | 'unit' | 'state'>): string {
  switch (kind) {
    case 'concurrency':
      return `${amountText(left)} of ${amountText(max)} free`;
    case 'breaker':
      return state === 'half_open' ? 'half-open' : (state ?? 'closed');
    case 'budget':
    case 'count':
    case 'rate':
    case 'depth':
      return `${amountText(left)} of ${amountText(max)}${unit === undefined ? '' : ` ${unit}`} left`;
  }
}

export function unitOf(demand: LimitDemand): string | undefined {
  if (demand.kind === 'budget' || demand.kind === 'count') return demand.unit;
  return demand.kind === 'rate' ? 'actions' : undefined;
}

/** Formats an amount without binary rounding errors: `0.3`, not `0.30000000000000004`. */
export function amountText(amount: number): string {
  return String(Number(amount.toFixed(6)));
}
