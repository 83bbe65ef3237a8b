/** Determines the keys of the counters of a limit for an action, in a canonical form that no value can imitate. */
import type { Facts } from '../../action/decision.js';
import { digestText } from '../../action/json.js';
import type { LimitScope } from '../../action/limits.js';

/** Longer values are cut, and distinguished by their digest, because the size of an index entry is limited. Characters. */
const MAX_VALUE = 200;
const KEPT = 80;

/** The agent whose counters are meant, and the first agent of its chain. */
export interface Whose {
  readonly agent: string;
  readonly first: string;
  readonly traceId?: string | undefined;
}

/**
 * The distinct keys for a scope, in the order of the facts: `agent=billing-bot,target=orders`. Values are percent-encoded (RFC 3986), so
 * that `,` and `=` in them separate nothing. No key contains the tenant, because every counter belongs to a tenant anyway.
 *
 * - `target`: one key for each target, or for each table read when the action writes nothing; `target=` when there is neither.
 * - `trace`: without a trace id, `trace=` and the first agent of the chain, so that leaving the trace id out does not evade a limit.
 */
export function keysOf(scope: readonly LimitScope[], facts: Facts, whose: Whose): readonly string[] {
  let keys: readonly string[] = [''];
  // The tenant, which adds nothing, comes first in the order of a scope.
  for (const part of scope) {
    const parts = partsOf(part, facts, whose);
    keys = keys.flatMap((key) => parts.map((value) => (key === '' ? value : `${key},${value}`)));
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

/** Percent-encodes a value. `#` never occurs in an encoded value, so a cut value differs from every value that was not cut. */
function encoded(value: string): string {
  const text = encodeURIComponent(value);
  return text.length <= MAX_VALUE ? text : `${text.slice(0, KEPT)}#${digestText(value)}`;
}
