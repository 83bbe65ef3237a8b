/** What a recorded policy asked of its limits, from what the candidate asks, where the two differ in figures only. It spares evaluating every CEL twice. */
import { parse } from 'yaml';
import { canonical } from '../../action/json.js';
import type { LimitDemand } from '../../action/limits.js';
import type { PolicyBundle } from '../bundle.js';
import { LIMITS_FILE, type CountedLimit } from '../limits/limit.js';
import { parseLimits } from '../limits/read.js';
import { demandOf } from '../limits/resolve.js';
import type { ResolvedLimit } from '../limits/resolved.js';

export type Translate = (limits: readonly ResolvedLimit[]) => readonly ResolvedLimit[];

/** Undefined where the limits are others, or apply to other actions, or measure something else. */
export function translation(
  recorded: Pick<PolicyBundle, 'files'>,
  candidate: Pick<PolicyBundle, 'files'>,
): Translate | undefined {
  const [before, after] = [recorded.files[LIMITS_FILE], candidate.files[LIMITS_FILE]];
  if (before === undefined || after === undefined || questionsOf(before) !== questionsOf(after)) return undefined;
  const problems: Parameters<typeof parseLimits>[1] = [];
  const { limits } = parseLimits(before, problems);
  if (problems.length > 0) return undefined;
  const same = sameIn(before, after);
  const byId = new Map(limits.filter(({ id }) => !same.has(id)).map((limit) => [limit.id, limit]));
  return (resolved) =>
    resolved.map((one): ResolvedLimit => {
      const limit = byId.get(one.demand.limit);
      // What is declared alike asks alike, and the caps of delegations are not the policy's.
      if (limit === undefined || limit.kind === 'depth') return one;
      return { ...one, demand: demanded(limit, one.demand) };
    });
}

/** What the limit asked of a counter that was asked for the same amount. */
function demanded(declared: CountedLimit, demand: LimitDemand): LimitDemand {
  const { limit, key } = demand;
  if (declared.kind !== 'budget') return { limit, key, ...demandOf(declared) };
  const { kind, max, unit, window } = declared;
  const amount = 'amount' in demand ? demand.amount : 0;
  return { limit, key, kind, amount, max, unit, ...(window === undefined ? {} : { window }) };
}

/** The ids of limits that are declared alike in both. */
function sameIn(one: string, other: string): ReadonlySet<string> {
  const [before, after] = [declaredIn(one), declaredIn(other)];
  return new Set(Object.keys(before).filter((id) => JSON.stringify(before[id]) === JSON.stringify(after[id])));
}

function declaredIn(text: string): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  return (parse(text) as { limits?: Record<string, Record<string, unknown>> }).limits ?? {};
}

/** What decides which counters an action falls under, and for how much, of each limit. */
function questionsOf(text: string): string {
  const limits = declaredIn(text);
  return canonical(
    Object.fromEntries(
      Object.entries(limits).map(([id, { kind, scope, when, amount, settled, unit }]) => [
        id,
        JSON.stringify([kind, scope, when, amount, settled, unit]),
      ]),
    ),
  );
}
