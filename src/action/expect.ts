/** How long an expectation may take to come true. Apart from the schema, because workflow code loads it and must not load zod. */
import type { Proposal } from './proposal.js';

/** Milliseconds; 0 when the expectation must hold at once or there is none. */
export function expectedWithinMs({ expect }: Pick<Proposal, 'expect'>): number {
  return typeof expect === 'object' ? (expect.withinMs ?? 0) : 0;
}
