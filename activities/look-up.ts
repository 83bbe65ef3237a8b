/** Asks a tool whether the effect of an action was made. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { Proposal } from '../src/action/proposal.js';
import type { LookUp } from '../src/tools/tool.js';
import type { Dependencies } from './deps.js';

/** Pauses between two looks, milliseconds; the last one is repeated while there is time. */
const LOOK_AGAIN_MS = [100, 300, 1_000, 2_000, 5_000] as const;

/** What a workflow task may be made to wait for; whoever has to look longer does so in a regular activity. Milliseconds. */
const LOCAL_MAX_WAIT_MS = 500;

/**
 * A system that has just lost a reply may need a moment to tell what became of the request: it is asked again before the outcome counts
 * as unknown. One that cannot be reached at all throws, and is waited for by Temporal.
 *
 * @throws CountersignError what the tool throws; EFFECT_UNKNOWN in a local activity, when the tool cannot tell yet
 */
export async function lookUpEffect(proposal: Proposal, key: string, deps: Dependencies): Promise<LookUp> {
  const tool = deps.tools.get(proposal.tool);
  if (tool === undefined) return { happened: 'unknown', reason: `this worker has no tool ${proposal.tool}` };
  if (tool.lookUp === undefined) return { happened: 'unknown', reason: `the tool ${tool.name} cannot look it up` };
  // An input that the tool does not understand any more need not keep it from knowing the key.
  const parsed = tool.input.safeParse(proposal.input);
  const context = Context.current();
  const { isLocal } = context.info;
  const { lookUpMaxWaitMs: longest } = deps.settings;
  const maxWaitMs = isLocal ? Math.min(LOCAL_MAX_WAIT_MS, longest) : longest;
  const start = performance.now();
  for (let look = 0; ; look++) {
    const answer = await tool.lookUp(
      key,
      { signal: context.cancellationSignal },
      parsed.success ? parsed.data : undefined,
    );
    if (answer.happened !== 'unknown') return answer;
    const pause = LOOK_AGAIN_MS[Math.min(look, LOOK_AGAIN_MS.length - 1)] as number;
    if (performance.now() - start + pause > maxWaitMs) {
      if (maxWaitMs === longest) return answer;
      throw new CountersignError('EFFECT_UNKNOWN', answer.reason);
    }
    context.heartbeat();
    await context.sleep(pause);
  }
}
