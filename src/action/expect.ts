/** How long an expectation may take to come true. Apart from the schema, because workflow code loads it and must not load zod. */
import type { Expect, Proposal } from './proposal.js';

/** Milliseconds; 0 when the expectation must hold at once or there is none; of several, the longest. */
export function expectedWithinMs({ expect }: Pick<Proposal, 'expect'>): number {
  if (typeof expect !== 'object') return 0;
  if (isSingle(expect)) return expect.withinMs ?? 0;
  return Math.max(0, ...expect.map(({ withinMs = 0 }) => withinMs));
}

function isSingle(expect: Exclude<Proposal['expect'], string | undefined>): expect is Expect {
  return !Array.isArray(expect);
}
