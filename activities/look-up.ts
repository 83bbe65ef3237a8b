/** Asks a tool whether the effect of an action was made. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { Proposal } from '../src/action/proposal.js';
import type { LookUp } from '../src/tools/tool.js';
import type { Dependencies } from './deps.js';

/** The pauses between look-ups, in milliseconds. The last one is repeated until the time is over. */
const LOOK_AGAIN_MS = [100, 300, 1_000, 2_000, 5_000] as const;

/** For how long a look-up may delay a workflow task. A longer one runs in a regular activity. Milliseconds. */
const LOCAL_MAX_WAIT_MS = 500;

/**
 * Asks the tool whether the effect was made. A system that has just lost a response may need a moment until it can tell what became of the
 * request, so the look-up is repeated before the outcome counts as unknown. When the system cannot be reached, Temporal retries the step.
 *
 * @throws CountersignError what the tool throws; EFFECT_UNKNOWN in a local activity, when the tool cannot tell yet
 */
export async function lookUpEffect(proposal: Proposal, key: string, deps: Dependencies): Promise<LookUp> {
  const tool = deps.tools.get(proposal.tool);
  if (tool === undefined) return { happened: 'unknown', reason: `this worker has no tool ${proposal.tool}` };
  if (tool.lookUp === undefined) return { happened: 'unknown', reason: `the tool ${tool.name} cannot look it up` };
  // The tool may find the key even when it no longer accepts the input.
  const parsed = tool.input.safeParse(proposal.input);
  const context = Context.current();
  const { isLocal } = context.info;
  const { lookUpMaxWaitMs: longest } = deps.settings;
  const maxWaitMs = isLocal ? Math.min(LOCAL_MAX_WAIT_MS, longest) : longest;
  const start = performance.now();
  for (let attempt = 0; ; attempt++) {
    const found = await tool.lookUp(
      key,
      { signal: context.cancellationSignal },
      parsed.success ? parsed.data : undefined,
    );
    if (found.happened !== 'unknown' || found.final === true) return found;
    // An interrupted look-up found out nothing: another worker looks again.
    if (context.cancellationSignal.aborted) await context.cancelled;
    const pause = LOOK_AGAIN_MS[Math.min(attempt, LOOK_AGAIN_MS.length - 1)] as number;
    if (performance.now() - start + pause > maxWaitMs) {
      if (maxWaitMs === longest) return found;
      throw new CountersignError('EFFECT_UNKNOWN', found.reason);
    }
    context.heartbeat();
    await context.sleep(pause);
  }
}
