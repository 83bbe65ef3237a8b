/** The limits of a chaos run: tight enough that overspending would show. The same definitions make limits.yaml and tell the judge. */
import { stringify } from 'yaml';
import type { Plan } from './plan.js';

/** A sum that may never be exceeded by what really happened. */
export interface Budget {
  readonly limit: string;
  /** Kinds of effects that it counts (`Intent.what`). */
  readonly counts: readonly string[];
  readonly per: 'tenant' | 'agent';
  readonly max: number;
  /** Of a sliding window, milliseconds; absent: for good. */
  readonly windowMs?: number;
}

const SLIDING_SECONDS = 12;

export function budgetsFor({ actions, agents }: Plan): readonly Budget[] {
  const amounts = (what: string): number[] =>
    actions.flatMap(({ intent }) => (intent?.what === what ? [intent.amount] : []));
  const sum = (what: string): number => amounts(what).reduce((all, one) => all + one, 0);
  return [
    { limit: 'paid-in-all', counts: ['pay'], per: 'tenant', max: Math.max(60, Math.round(sum('pay') * 0.55)) },
    {
      limit: 'refunded-by-agent',
      counts: ['refund'],
      per: 'agent',
      max: Math.max(60, Math.round((sum('refund') * 1.2) / agents.length)),
    },
    {
      limit: 'moved-lately',
      counts: ['pay', 'refund', 'payout'],
      per: 'tenant',
      max: 400,
      windowMs: SLIDING_SECONDS * 1000,
    },
    {
      limit: 'removals',
      counts: ['remove'],
      per: 'tenant',
      max: Math.max(1, Math.round(amounts('remove').length * 0.6)),
    },
  ];
}

/** The text of limits.yaml. */
export function limitsYaml(budgets: readonly Budget[]): string {
  const declared = budgets.map(({ limit, counts, per, max, windowMs }) => {
    const money = !counts.includes('remove');
    const when = money
      ? `tool.name == "payments" && operation in [${counts.map((what) => JSON.stringify(what)).join(', ')}]`
      : 'tool.name == "shop-db" && actionType == "DELETE"';
    return [
      limit,
      {
        kind: money ? 'budget' : 'count',
        scope: per,
        when,
        max,
        ...(money ? { unit: 'EUR', amount: 'input.body.amount' } : {}),
        window: windowMs === undefined ? 'forever' : `sliding ${windowMs / 1000}s`,
        atLimit: windowMs === undefined ? 'deny' : 'queue for 8s',
      },
    ];
  });
  const others = {
    'payments-at-once': {
      kind: 'concurrency',
      scope: 'tool',
      when: 'tool.name == "payments"',
      max: 8,
      atLimit: 'queue for 8s',
    },
    pace: { kind: 'rate', scope: 'agent', max: 5, per: '1s', burst: 10, atLimit: 'queue for 6s' },
    'payments-breaker': {
      kind: 'breaker',
      scope: ['tool', 'target'],
      when: 'tool.name == "payments" && actionType == "CALL_API"',
      window: '10s',
      minimum: 8,
      ratio: 0.7,
      open: '1s',
      probes: 2,
    },
  };
  return stringify({ limits: { ...Object.fromEntries(declared), ...others } });
}
