/** Which counters of a limit an action falls under: their keys, in one canonical form that no value can imitate. */
import type { Facts } from '../../action/decision.js';
import { digestText } from '../../action/json.js';
import type { LimitScope } from '../../action/limits.js';

/** Longer values are cut, and told apart by their digest: a key is part of an index, whose entries may not grow. */
const MAX_VALUE = 200;
const KEPT = 80;

/** Whose counters: one agent of a chain, and the one that the chain begins with. */
export interface Whose {
  readonly agent: string;
  readonly first: string;
  readonly traceId?: string | undefined;
}

/**
 * The keys for a scope, different from each other, in the order of the facts: `agent=billing-bot,target=orders`; values are
 * percent-encoded (RFC 3986), so that `,` and `=` in them separate nothing. The tenant is in none: counters are the tenant's anyway.
 *
 * - `target`: one for each target; of an action that writes nothing, for each that it reads; `target=` when there is neither.
 * - `trace`: without a trace id, `trace=` of the agent that the chain begins with. So nobody gets around a limit by leaving it out.
 */
export function keysOf(scope: readonly LimitScope[], facts: Facts, whose: Whose): readonly string[] {
  let keys: readonly string[] = [''];
  for (const part of scope) {
    const parts = partsOf(part, facts, whose);
    keys = keys.flatMap((key) => parts.map((value) => (key === '' || value === '' ? key + value : `${key},${value}`)));
  }
  return [...new Set(keys)];
}

function partsOf(scope: LimitScope, facts: Facts, { agent, first, traceId }: Whose): readonly string[] {
  const { tool, preview } = facts;
  switch (scope) {
    case 'tenant':
      return [''];
    case 'agent':
      return [part('agent', agent)];
    case 'tool':
      return [part('tool', tool.name)];
    case 'actionType':
      return [part('actionType', facts.actionType)];
    case 'target': {
      const targets = preview.targets.length > 0 ? preview.targets : preview.reads;
      return targets.length === 0 ? ['target='] : targets.map((target) => part('target', target.toLowerCase()));
    }
    case 'environment':
      return [part('environment', tool.environment)];
    case 'trace':
      return [traceId === undefined ? `trace=,of=${encoded(first)}` : part('trace', traceId)];
  }
}

function part(name: LimitScope, value: string): string {
  return `${name}=${encoded(value)}`;
}

/** `#` is in no encoded value, so a cut one is like none that was not. */
function encoded(value: string): string {
  const text = encodeURIComponent(value);
  return text.length <= MAX_VALUE ? text : `${text.slice(0, KEPT)}#${digestText(value)}`;
}
