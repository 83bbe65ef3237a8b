/** The caps that delegations and standing approvals carry, as limits: each is counted in the ledger, and at it there is only refusal. */
import type { Violation } from '../../action/decision.js';
import type { Json } from '../../action/json.js';
import { standingLimit, type LimitFigure } from '../../action/limits.js';
import type { DelegationCap } from '../../action/principal.js';
import type { LimitSet } from './limit.js';
import type { Measured, ResolvedLimit } from './resolved.js';

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
    if (actions !== undefined) found.push(counted(name, actions));
    for (const [unit, max] of Object.entries(amounts)) {
      const limit = `${name}:${unit}`;
      if (units.has(unit)) {
        found.push(...summed(limit, unit, max, measured));
        continue;
      }
      exceeded.push({
        policy: `limit:${limit}`,
        reason: `${limit}: the delegation caps ${unit}, which no budget of the policy measures`,
      });
    }
  }
  return { limits: found, exceeded };
}

/**
 * What an action asks of a standing approval's budgets. Undefined when one of them is of a unit that no budget makes anything of for this
 * action: what nobody measures was not approved in advance.
 */
export function standingLimits(
  {
    id,
    actions,
    amounts = {},
  }: { readonly id: string; readonly actions?: number; readonly amounts?: Readonly<Record<string, number>> },
  measured: readonly Measured[],
): readonly ResolvedLimit[] | undefined {
  const found = actions === undefined ? [] : [counted(standingLimit(id), actions)];
  for (const [unit, max] of Object.entries(amounts)) {
    const asked = summed(standingLimit(id, unit), unit, max, measured);
    if (asked.length === 0) return undefined;
    found.push(...asked);
  }
  return found;
}

/** The amounts of standing approvals that an action held, from its figures: to be settled as the budgets are that measured them. */
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

/** Empty when no budget of the unit meets the action. */
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
