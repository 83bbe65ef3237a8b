/** The activity `execute`: the effect, and where nothing can be lost by it, everything after it in the same breath. */
import { expectedWithinMs } from '../src/action/expect.js';
import type { Proposal } from '../src/action/proposal.js';
import { concludeDone } from './conclude.js';
import type { Report } from './contract.js';
import type { Dependencies } from './deps.js';
import { execute } from './execute.js';
import type { Proposed } from './propose.js';
import { alive } from './step.js';

/** An expectation that may take longer is awaited in an activity of its own. Milliseconds. */
const SHORT_EXPECTATION_MS = 1_000;

/**
 * A step of its own costs an event and two round trips. What is saved here must not be paid with the truth: only an effect whose
 * repetition is harmless is concluded in place, and whatever fails in concluding leaves the report, which `conclude` takes up.
 */
export async function carryOut(proposal: Proposal, token: string, deps: Dependencies): Promise<Report> {
  const { truth, jti } = await execute(proposal, token, deps);
  const remembered = jti === undefined ? undefined : deps.recent.take(jti);
  if (truth.kind !== 'done' || remembered === undefined || !concludesAtOnce(remembered.proposed)) return truth;
  try {
    return { kind: 'concluded', concluded: await alive(() => concludeDone(remembered, truth, deps)) };
  } catch {
    return truth;
  }
}

/** Whether the effect's activity goes on to conclude, on a worker that still knows what it prepared. */
export function concludesAtOnce({ tool, proposal }: Pick<Proposed, 'tool' | 'proposal'>): boolean {
  return tool.idempotency === 'native' && expectedWithinMs(proposal) <= SHORT_EXPECTATION_MS;
}
