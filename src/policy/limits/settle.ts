/** What was really spent, as the limits' `settled` reads it from what the tool returned. */
import type { Json } from '../../action/json.js';
import type { ResolvedLimit } from './resolved.js';

/**
 * Amounts by limit id, of the limits that say how to settle. `limits`: those resolved for the same action. A limit whose `settled` fails
 * on this result is left out, so that what was held is consumed: the effect has happened, and nothing is given back on a guess.
 * `failed` is told of each.
 */
export function settledAmounts(
  limits: readonly ResolvedLimit[],
  result: Json,
  failed: (limit: string, error: unknown) => void = () => {},
): Readonly<Record<string, number>> {
  const amounts: Record<string, number> = {};
  const tried = new Set<string>();
  for (const { demand, settled } of limits) {
    // A limit's counters all stand for the one amount.
    if (settled === undefined || tried.has(demand.limit)) continue;
    tried.add(demand.limit);
    try {
      amounts[demand.limit] = settled(result);
    } catch (error) {
      failed(demand.limit, error);
    }
  }
  return amounts;
}
