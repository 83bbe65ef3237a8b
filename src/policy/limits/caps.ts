/** The caps that delegations carry, as limits: each is counted in the ledger, and at it there is only refusal. */
import type { Violation } from '../../action/decision.js';
import type { Json } from '../../action/json.js';
import type { DelegationCap } from '../../action/principal.js';
import type { LimitSet } from './limit.js';
import type { ResolvedLimit } from './resolved.js';

/** What one budget of the policy made of the action. */
export interface Measured {
  readonly unit: string;
  readonly amount: number;
  readonly settle?: (result: Json) => number;
}

/**
 * The demands of every cap: its actions under `delegation:<jti>`, its amounts under `delegation:<jti>:<unit>`. An amount of a unit is the
 * largest that the budgets of that unit make of the action; no such budget meets it: nothing is spent. A unit that no budget of the
 * whole policy measures could be spent unseen: such a cap refuses everything.
 */
export function capLimits(
  caps: readonly DelegationCap[],
  { limits }: LimitSet,
  measured: readonly Measured[],
): { readonly limits: readonly ResolvedLimit[]; readonly exceeded: readonly Violation[] } {
  const found: ResolvedLimit[] = [];
  const exceeded: Violation[] = [];
  const units = new Set(limits.flatMap((limit) => (limit.kind === 'budget' ? [limit.unit] : [])));
  for (const { jti, actions, amounts = {} } of caps) {
    const name = `delegation:${jti}`;
    if (actions !== undefined) found.push(capped(name, { kind: 'count', amount: 1, max: actions, unit: 'actions' }));
    for (const [unit, max] of Object.entries(amounts)) {
      const limit = `${name}:${unit}`;
      if (!units.has(unit)) {
        exceeded.push({
          policy: `limit:${limit}`,
          reason: `${limit}: the delegation caps ${unit}, which no budget of the policy measures`,
        });
        continue;
      }
      const own = measured.filter((one) => one.unit === unit);
      const amount = Math.max(0, ...own.map((one) => one.amount));
      if (own.length === 0) continue;
      found.push({
        ...capped(limit, { kind: 'budget', amount, max, unit }),
        ...(own.some((one) => one.settle !== undefined) ? { settled: (result) => largest(own, result) } : {}),
      });
    }
  }
  return { limits: found, exceeded };
}

function capped(
  limit: string,
  asked: { readonly kind: 'budget' | 'count'; readonly amount: number; readonly max: number; readonly unit: string },
): ResolvedLimit {
  return { demand: { limit, key: '', ...asked }, atLimit: { kind: 'deny' }, label: limit };
}

function largest(measured: readonly Measured[], result: Json): number {
  return Math.max(...measured.map(({ amount, settle }) => settle?.(result) ?? amount));
}
