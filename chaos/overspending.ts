/** What was really spent, by the journals, against what the limits allow; and whether the ledger's counters add up. */
import type { Effect, Evidence } from './evidence.js';
import { groupBy } from './groups.js';
import type { Budget } from './limits.js';
import type { Finding } from './finding.js';

export function overspending(evidence: Evidence): readonly Finding[] {
  return [
    ...evidence.budgets.flatMap((budget) => overspentOf(budget, evidence)),
    ...evidence.budgets.flatMap((budget) => uncounted(budget, evidence)),
    ...leaks(evidence),
  ];
}

interface Spending extends Effect {
  readonly agent: string;
  /** When the budget was asked: what belongs to which window is decided then, and the effect follows. */
  readonly heldAt: number;
}

function spendingOf(budget: Budget, { effects, proposed, holds }: Evidence): readonly Spending[] {
  const agents = new Map(proposed.map(({ actionId, agent }) => [actionId, agent]));
  const placed = new Map(
    holds
      .filter(({ limit }) => limit === budget.limit)
      .map(({ actionId, placedAt }) => [actionId, Date.parse(placedAt)]),
  );
  return effects
    .filter(({ what }) => budget.counts.includes(what))
    .map((effect) => ({
      ...effect,
      agent: agents.get(effect.actionId) ?? '',
      heldAt: placed.get(effect.actionId) ?? Date.parse(effect.at),
    }));
}

function overspentOf(budget: Budget, evidence: Evidence): readonly Finding[] {
  const { limit, max, per, windowMs } = budget;
  const groups = groupBy(spendingOf(budget, evidence), ({ agent }) => (per === 'agent' ? agent : ''));
  return [...groups].flatMap(([who, spending]): Finding[] => {
    const { sum, last } = fullest(spending, windowMs);
    if (sum <= max) return [];
    const where = `${limit}${who === '' ? '' : ` of ${who}`}`;
    const what = `${sum} really spent of ${where}, which allows ${max}${windowMs === undefined ? '' : ` in ${windowMs} ms`}`;
    return [{ fault: 'overspent', actionId: last?.actionId ?? '', what }];
  });
}

/** The most that was spent in any one window, and what was spent last in it. */
function fullest(spending: readonly Spending[], windowMs = Infinity): { sum: number; last: Spending | undefined } {
  const inOrder = spending.toSorted((a, b) => a.heldAt - b.heldAt);
  let best: { sum: number; last: Spending | undefined } = { sum: 0, last: undefined };
  let sum = 0;
  let first = 0;
  for (const one of inOrder) {
    sum += one.amount;
    for (
      let oldest = inOrder[first];
      oldest !== undefined && oldest.heldAt <= one.heldAt - windowMs;
      oldest = inOrder[++first]
    ) {
      sum -= oldest.amount;
    }
    if (sum > best.sum) best = { sum, last: one };
  }
  return best;
}

/** Money that no hold stands for is money that no limit has seen. */
function uncounted(budget: Budget, evidence: Evidence): readonly Finding[] {
  const holds = new Map(
    evidence.holds.filter(({ limit }) => limit === budget.limit).map((hold) => [hold.actionId, hold]),
  );
  const known = new Set(evidence.recorded.map(({ actionId }) => actionId));
  return spendingOf(budget, evidence).flatMap(({ actionId, amount, where }): Finding[] => {
    if (!known.has(actionId)) return [];
    const hold = holds.get(actionId);
    if (hold !== undefined && hold.status !== 'released' && hold.amount >= amount) return [];
    const state = hold === undefined ? 'no hold' : `a hold of ${hold.amount} that is ${hold.status}`;
    return [
      { fault: 'unexplained', actionId, what: `${amount} spent, and ${budget.limit} has ${state} for it (${where})` },
    ];
  });
}

/** What a counter has reserved is what the holds on it say; and of a sum for good, also what it has used. */
function leaks({ counters, holds, budgets }: Evidence): readonly Finding[] {
  const forGood = new Set(budgets.filter(({ windowMs }) => windowMs === undefined).map(({ limit }) => limit));
  return counters.flatMap(({ limit, key, kind, used, held }): Finding[] => {
    const own = holds.filter((hold) => hold.limit === limit && hold.key === key && hold.kind === kind);
    const sum = (...statuses: string[]): number =>
      own.filter(({ status }) => statuses.includes(status)).reduce((all, { amount }) => all + amount, 0);
    const name = key === '' ? limit : `${limit} ${key}`;
    const findings: Finding[] = [];
    const reserved = sum('held', 'kept');
    if ((forGood.has(limit) || kind === 'concurrency') && held !== reserved) {
      findings.push({
        fault: 'unexplained',
        actionId: '',
        what: `${name} has ${held} reserved, and its holds are ${reserved}`,
      });
    }
    if (forGood.has(limit) && used !== sum('consumed')) {
      findings.push({
        fault: 'unexplained',
        actionId: '',
        what: `${name} counts ${used}, and its holds are ${sum('consumed')}`,
      });
    }
    return findings;
  });
}
