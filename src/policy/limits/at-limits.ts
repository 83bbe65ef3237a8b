/** Decides what happens to an action at its limits: it fits, is denied, waits, or needs approval. */
import type { Facts, Requirement, Violation } from '../../action/decision.js';
import type { LimitReading } from '../../action/limits.js';
import { formatDuration } from '../../action/duration.js';
import { amountText, paired, usageText, unitOf } from './figures.js';
import type { AtLimits, ResolvedLimit } from './resolved.js';

/** When to look again if that depends on other actions. Milliseconds. */
const LOOK_AGAIN_MS = 1000;
const SOONEST_MS = 100;

type Unfit = readonly [ResolvedLimit, LimitReading];

/**
 * Decides what happens to an action. A limit that denies wins over the others, so that no action waits and nobody is asked in vain; for
 * the same reason waiting comes before asking. An action that can fit only after the longest wait, or never, does not wait. `readings` are
 * those of `limits`, in the same order.
 *
 * The requirements contain no figures, because people sign them and figures change while people decide.
 *
 * @throws CountersignError INTERNAL when the readings are not those of the limits
 */
export function atLimits(limits: readonly ResolvedLimit[], readings: readonly LimitReading[], facts: Facts): AtLimits {
  const unfit = paired(limits, readings).filter(([, reading]) => !reading.fits);
  if (unfit.length === 0) return { kind: 'fits' };
  const denying = unfit.filter((one) => one[0].atLimit.kind === 'deny' || waitsInVain(one));
  const [first, ...others] = denying;
  if (first !== undefined) return denied([first, ...others], unfit, facts);

  const queued = unfit.flatMap((one) => (one[0].atLimit.kind === 'queue' ? [{ one, ...one[0].atLimit }] : []));
  if (queued.length > 0) {
    const waits = queued.map(({ one: [, reading] }) => nextLook(reading));
    return {
      kind: 'queue',
      reason: queued.map(({ one }) => reasonOf(one, facts)).join('; '),
      maxWaitMs: Math.min(...queued.map(({ maxWaitMs }) => maxWaitMs)),
      retryAfterMs: Math.max(SOONEST_MS, ...waits),
    };
  }
  return {
    kind: 'approve',
    requirements: requirements(unfit),
    over: [...new Set(unfit.map(([{ demand }]) => demand.limit))],
  };
}

function denied(denying: readonly [Unfit, ...Unfit[]], unfit: readonly Unfit[], facts: Facts): AtLimits {
  const [[{ demand, label }, reading]] = denying;
  const violations: readonly Violation[] = unfit.map((one) => ({
    policy: `limit:${one[0].demand.limit}`,
    reason: reasonOf(one, facts),
  }));
  const waits = denying.map((one) => (neverFits(one) ? undefined : one[1].retryAfterMs));
  const retryAfterMs = waits.includes(undefined) ? undefined : Math.max(0, ...waits.map(Number));
  return {
    kind: 'deny',
    code: denying.every(([{ demand }]) => demand.kind === 'breaker') ? 'BREAKER_OPEN' : 'LIMIT_EXCEEDED',
    reason: denying.map((one) => reasonOf(one, facts)).join('; '),
    violations,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    field: `limits.${label}`,
    expected: expected(demand, reading),
    fix: fix(denying, retryAfterMs, facts),
  };
}

/** The requirements of each limit, once, however many of its counters are full. */
function requirements(unfit: readonly Unfit[]): readonly Requirement[] {
  const found = new Map<string, readonly Requirement[]>();
  for (const [{ demand, atLimit }] of unfit) {
    if (atLimit.kind !== 'approve') continue;
    const policy = `limit:${demand.limit}`;
    const reason = over(demand);
    found.set(
      policy,
      atLimit.approvals.map((approval) => ({ policy, reason, ...approval })),
    );
  }
  return [...found.values()].flat();
}

function over(demand: ResolvedLimit['demand']): string {
  switch (demand.kind) {
    case 'budget':
    case 'count':
      return `${demand.limit}: ${amountText(demand.amount)} ${demand.unit} asked, more than is left of ${amountText(demand.max)} ${demand.unit}`;
    case 'rate':
      return `${demand.limit}: actions come faster than one in ${formatDuration(demand.refillMs)}`;
    case 'concurrency':
      return `${demand.limit}: ${demand.max} actions are under way already`;
    case 'breaker':
      return `${demand.limit}: too many actions ended badly`;
  }
}

function reasonOf(one: Unfit, facts: Facts): string {
  const [{ demand, label }, reading] = one;
  const amount =
    demand.kind === 'budget' || demand.kind === 'count' ? `${amountText(demand.amount)} ${demand.unit} asked, ` : '';
  const unit = unitOf(demand);
  const state = usageText({ ...reading, ...(unit === undefined ? {} : { unit }) });
  return `${label}: ${amount}${state}; ${neverFits(one) ? 'it will never fit' : retryHint(reading.retryAfterMs, facts)}`;
}

/** States when to try again: `try again in 3h 20m, at 2025-01-02T00:00:00Z`. */
function retryHint(retryAfterMs: number | undefined, facts: Facts): string {
  if (retryAfterMs === undefined) return 'try again when others have ended';
  // Rounded up to a second, because an instant that is slightly too early is of no use.
  const at = new Date(Math.ceil((Date.parse(facts.now) + retryAfterMs) / 1000) * 1000);
  return `try again in ${formatDuration(Math.max(1, retryAfterMs))}, at ${at.toISOString().replace('.000Z', 'Z')}`;
}

/** Whether waiting is of no use: the action never fits, or only after the longest wait even though no other action holds anything. */
function waitsInVain(one: Unfit): boolean {
  const [{ atLimit }, { held, retryAfterMs = 0 }] = one;
  return atLimit.kind === 'queue' && (neverFits(one) || (held === 0 && retryAfterMs > atLimit.maxWaitMs));
}

/** How long to wait before the next look. Holds of other actions may be released at any time; for the rest the ledger knows when. */
function nextLook({ held, retryAfterMs = LOOK_AGAIN_MS }: LimitReading): number {
  return held > 0 ? Math.min(LOOK_AGAIN_MS, retryAfterMs) : retryAfterMs;
}

function neverFits([{ demand }]: Unfit): boolean {
  return (demand.kind === 'budget' || demand.kind === 'count') && demand.amount > demand.max;
}

function expected(demand: ResolvedLimit['demand'], reading: LimitReading): string {
  switch (demand.kind) {
    case 'budget':
    case 'count':
      return `at most ${amountText(reading.left)} ${demand.unit}`;
    case 'rate':
      return `at most one action in ${formatDuration(demand.refillMs)}, ${demand.capacity} at once`;
    case 'concurrency':
      return `at most ${demand.max} at once`;
    case 'breaker':
      return 'a closed breaker';
  }
}

function fix(denying: readonly [Unfit, ...Unfit[]], retryAfterMs: number | undefined, facts: Facts): string {
  const [[{ demand }]] = denying;
  if (denying.some(neverFits)) return 'Ask for less, or have the limit raised in limits.yaml.';
  if (demand.kind === 'breaker') {
    return `Find out why actions on it fail; ${retryHint(retryAfterMs, facts)}.`;
  }
  const sentence = retryHint(retryAfterMs, facts);
  return `${sentence[0]?.toUpperCase() ?? ''}${sentence.slice(1)}; or have the limit raised in limits.yaml.`;
}
