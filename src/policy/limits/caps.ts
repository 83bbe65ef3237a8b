/** The caps that delegations and standing approvals carry, as limits. The ledger counts each of them, and an action over one is denied. */
import type { Violation } from '../../action/decision.js';
import type { Json } from '../../action/json.js';
import { standingLimit, type LimitFigure } from '../../action/limits.js';
import type { DelegationCap } from '../../action/principal.js';
import type { LimitSet } from './limit.js';
import type { Measured, ResolvedLimit } from './resolved.js';

/**
 * The limits for the caps of delegations: actions under `delegation:<jti>`, amounts under `delegation:<jti>:<unit>`. The amount of a unit
 * is the largest that a budget of this unit measures for the action; there is no limit when no such budget applies to it. When the whole
 * policy has no budget of the unit, it could be spent without being measured, so such a cap denies every action.
 */
export function capLimits(
  caps: readonly DelegationCap[],
  { limits }: LimitSet,
  measured: readonly Measured[],
): { readonly limits: readonly ResolvedLimit[]; readonly exceeded: readonly Violation[] } {
  const capped: ResolvedLimit[] = [];
  const exceeded: Violation[] = [];
  const units = new Set(limits.flatMap((limit) => (limit.kind === 'budget' ? [limit.unit] : [])));
  for (const { jti, actions, amounts = {} } of caps) {
    const name = `delegation:${jti}`;
    if (actions !== undefined) capped.push(counted(name, actions));
    for (const [unit, max] of Object.entries(amounts)) {
      const limit = `${name}:${unit}`;
      if (units.has(unit)) {
        capped.push(...summed(limit, unit, max, measured));
        continue;
      }
      exceeded.push({
        policy: `limit:${limit}`,
        reason: `${limit}: the delegation caps ${unit}, which no budget of the policy measures`,
      });
    }
  }
  return { limits: capped, exceeded };
}

/**
 * The limits for the budgets of a standing approval. Undefined when no budget of the policy measures one of its units for this action: an
 * amount that is not measured was not approved in advance. Of the approval, `actions` is how many it is for (default any number), and `amounts`
 * the most of each unit (default any amount).
 */
export function standingLimits(
  {
    id,
    actions,
    amounts = {},
  }: { readonly id: string; readonly actions?: number; readonly amounts?: Readonly<Record<string, number>> },
  measured: readonly Measured[],
): readonly ResolvedLimit[] | undefined {
  const standing = actions === undefined ? [] : [counted(standingLimit(id), actions)];
  for (const [unit, max] of Object.entries(amounts)) {
    const amountLimits = summed(standingLimit(id, unit), unit, max, measured);
    if (amountLimits.length === 0) return undefined;
    standing.push(...amountLimits);
  }
  return standing;
}

/** The limits of standing approvals that an action held, from its figures. They are settled like the budgets that measured them. */
export function heldInAdvance(
  figures: readonly LimitFigure[],
  measured: readonly Measured[],
): readonly ResolvedLimit[] {
  return figures.flatMap(({ limit, kind, unit, max }) =>
    kind === 'budget' && unit !== undefined && limit.startsWith(standingLimit(''))
      ? summed(limit, unit, max, measured)
      : [],
  );
}

function counted(limit: string, max: number): ResolvedLimit {
  const demand = { limit, key: '', kind: 'count', amount: 1, max, unit: 'actions' } as const;
  return { demand, atLimit: { kind: 'deny' }, label: limit };
}

/** The limit for an amount of a unit. Empty when no budget of the unit applies to the action. */
function summed(limit: string, unit: string, max: number, measured: readonly Measured[]): readonly ResolvedLimit[] {
  const own = measured.filter((one) => one.unit === unit);
  if (own.length === 0) return [];
  const amount = Math.max(0, ...own.map((one) => one.amount));
  const settles = own.some(({ settle }) => settle !== undefined);
  return [
    {
      demand: { limit, key: '', kind: 'budget', amount, max, unit },
      atLimit: { kind: 'deny' },
      label: limit,
      ...(settles ? { settled: (result: Json) => largest(own, result) } : {}),
    },
  ];
}

function largest(measured: readonly Measured[], result: Json): number {
  return Math.max(...measured.map(({ amount, settle }) => settle?.(result) ?? amount));
}
