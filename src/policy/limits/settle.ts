/** Computes what was really spent, by the `settled` expressions of the limits, from the result of the tool. */
import type { Json } from '../../action/json.js';
import type { ResolvedLimit } from './resolved.js';

/**
 * The amounts by limit id, for the limits with `settled`. `limits` are those resolved for the same action. A limit whose `settled` fails on
 * this result is left out, so that what was held is consumed: the effect has happened, and nothing is released on a guess. `failed` is
 * called for each of them.
 */
export function settledAmounts(
  limits: readonly ResolvedLimit[],
  result: Json,
  failed: (limit: string, error: unknown) => void = () => {},
): Readonly<Record<string, number>> {
  const amounts: Record<string, number> = {};
  const tried = new Set<string>();
  for (const { demand, settled } of limits) {
    // All counters of a limit have the same amount.
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
