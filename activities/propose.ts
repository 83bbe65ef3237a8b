/** Step 1, `propose`: authenticates the agent, reads the input by the tool's schema and previews what the action would touch. */
import { Context } from '@temporalio/activity';
import type { Preview } from '../src/action/decision.js';
import { accountable, authenticate, readAuthorizedInput, type Authentic, type ToolInput } from './authenticate.js';
import type { Activities, ActionRequest, Proposed } from './contract.js';
import type { Dependencies } from './deps.js';
import { StepRun } from './step.js';

export async function propose(request: ActionRequest, deps: Dependencies): ReturnType<Activities['propose']> {
  const run = new StepRun('propose', request.proposal, deps);
  let authentic: Authentic | undefined;
  try {
    authentic = await authenticate(request, deps);
    await deps.refusals.wait(accountable(authentic.agent));
    const read = readAuthorizedInput(authentic, deps);
    const { tool, actionType, operation } = read;
    if (tool.taskQueue !== undefined && tool.taskQueue !== deps.taskQueue) {
      return { kind: 'other_task_queue', taskQueue: tool.taskQueue };
    }
    const preview = await previewOf(read);
    const { name, kind, environment } = tool;
    return run.seal<Proposed>({ kind: 'proposed', tool: { name, kind, environment }, actionType, operation, preview });
  } catch (thrown) {
    const refused = run.refuse(thrown);
    if (authentic !== undefined) deps.refusals.count(accountable(authentic.agent));
    return refused;
  }
}

export async function previewOf({ tool, input, actionType }: ToolInput): Promise<Preview> {
  const preview = await tool.preview(input, { signal: Context.current().cancellationSignal });
  // What a read would return is its result, which nobody may see before the read is allowed.
  return actionType === 'READ' ? { ...preview, sample: [] } : preview;
}
