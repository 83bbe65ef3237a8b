/** Example limits and readings for several tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from '../../src/action/decision.js';
import type { LimitDemand, LimitReading } from '../../src/action/limits.js';
import type { ResolvedLimit } from '../../src/policy/index.js';
import type { Policy } from '../../src/policy/compile.js';
import { policyFromText } from '../../src/testing/index.js';
import { ROOT } from '../support/root.js';
import { factsOf, PERMIT_ALL } from './facts.js';

export const EXAMPLE = readFileSync(join(ROOT, 'policies/examples/limits/limits.yaml'), 'utf8');

/** The refusal of `refundFacts` with 120 EUR when 420 EUR are used. */
export const EXAMPLE_REFUSAL =
  'refunds-per-day agent=billing-bot: 120 EUR asked, 80 of 500 EUR left; try again in 3h 20m, at 2025-01-02T00:00:00Z';

export const refundFacts: Facts = factsOf({
  agent: { id: 'billing-bot' },
  tool: { name: 'payments', kind: 'http', environment: 'production' },
  actionType: 'CALL_API',
  operation: 'refund',
  preview: { targets: ['post /refunds'] },
  now: '2025-01-01T20:40:00.000Z',
});

/** A policy that allows everything, with these limits (the text under `limits:`). */
export function limited(limits: string, files: Readonly<Record<string, string>> = {}): Policy {
  const indented = limits.replaceAll(/^(?=.)/gm, '  ');
  return policyFromText({ 'limits.yaml': `limits:\n${indented}\n`, 'permit.cedar': PERMIT_ALL, ...files });
}

/** One limit with these fields, named `one`. */
export function oneLimit(fields: string): Policy {
  return limited(`one: {${fields}}`);
}

/** The reading that a ledger would return. */
export function readingOf({ demand }: ResolvedLimit, reading: Partial<LimitReading> = {}): LimitReading {
  const max = maxOf(demand);
  const { limit, key, kind } = demand;
  return { limit, key, kind, max, used: 0, held: 0, left: max, fits: true, ...reading };
}

function maxOf(demand: LimitDemand): number {
  if (demand.kind === 'rate') return demand.capacity;
  return demand.kind === 'breaker' ? demand.probes : demand.max;
}
