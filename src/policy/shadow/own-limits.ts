/** Which limits of a candidate count what the active policy's limits do not count: the figures of those that do are the ledger's. */
import { parse } from 'yaml';
import type { Policy } from '../compile.js';
import { LIMITS_FILE } from '../limits/limit.js';

type Declarations = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What may differ between two limits that count alike: a counter does not depend on it. */
const SIZE: Readonly<Record<string, readonly string[]>> = {
  budget: ['max', 'atLimit'],
  count: ['max', 'atLimit'],
  concurrency: ['max', 'atLimit'],
  // Their counters depend on all the rest.
  rate: ['atLimit'],
  breaker: ['atLimit'],
};

/** The ids of the candidate's limits that are new, or count something else or in another window. Caps of delegations are not a policy's. */
export function ownLimits(active: Pick<Policy, 'bundle'>, candidate: Pick<Policy, 'bundle'>): ReadonlySet<string> {
  const [before, after] = [declaredIn(active), declaredIn(candidate)];
  return new Set(Object.keys(after).filter((id) => countedAs(before[id]) !== countedAs(after[id])));
}

function countedAs(declared: Readonly<Record<string, unknown>> | undefined): string | undefined {
  if (declared === undefined) return undefined;
  const size = SIZE[String(declared['kind'])] ?? [];
  return JSON.stringify(
    Object.entries(declared)
      .filter(([name]) => !size.includes(name))
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

function declaredIn({ bundle }: Pick<Policy, 'bundle'>): Declarations {
  const text = bundle.files[LIMITS_FILE];
  return text === undefined ? {} : ((parse(text) as { limits?: Declarations } | null)?.limits ?? {});
}
