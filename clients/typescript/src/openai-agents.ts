/** `countersign-client/openai-agents`: tools for the OpenAI Agents SDK. What waits for people interrupts the run. */
import { tool, type FunctionTool, type RunContext, type RunState, type RunToolApprovalItem } from '@openai/agents';
import type { z } from 'zod';
import type { Countersign } from './client.js';
import { forModel, wasRefused } from './for-model.js';
import { callAsTool, guard, type OnPending, type Propose, type ToolAnswer } from './guard.js';
import type { Outcome, PendingAction, WaitOptions } from './types.js';

/** A tool of the SDK as its model sees it, and what a call of it proposes. */
export interface ToolDefinition<SCHEMA extends z.ZodObject, Context> {
  readonly name: string;
  /** For the model. */
  readonly description: string;
  readonly parameters: SCHEMA;
  /** What a call comes to. */
  readonly propose: Propose<z.output<SCHEMA>>;
  /** The conversation, under a name that outlives this process; or how the run's context tells it. */
  readonly thread: string | ((context: Context) => string);
  /** Default `pause`: an interruption of the run, which `settleInterruptions` answers. */
  readonly onPending?: OnPending;
  /** How long a call waits for an outcome, or to know that people are needed. Milliseconds, default 60 000. */
  readonly timeoutMs?: number;
}

/** The action of a call whose arguments are as the model wrote them. */
type ActionOf = (text: string, callId: string, context: unknown, wait: WaitOptions) => Promise<Outcome | PendingAction>;

/** Kept beside the tools, which are the SDK's own. */
const governed = new WeakMap<object, ActionOf>();

/** A tool of the SDK that proposes to Countersign: the model is told what became of it. */
export function countersignTool<SCHEMA extends z.ZodObject, Context = unknown>(
  cs: Countersign,
  definition: ToolDefinition<SCHEMA, Context>,
): FunctionTool<Context, SCHEMA, ToolAnswer> {
  const { name, description, parameters, propose, onPending = 'pause', timeoutMs } = definition;
  const guarded = guard(cs, propose);
  const threadOf = (context: unknown): string =>
    typeof definition.thread === 'string' ? definition.thread : definition.thread(context as Context);

  const made = tool<SCHEMA, Context, ToolAnswer>({
    name,
    description,
    parameters,
    needsApproval: async (run: RunContext, args: unknown, id?: string): Promise<boolean> => {
      if (onPending !== 'pause' || id === undefined) return false;
      const call = { id, thread: threadOf(run.context), timeoutMs };
      // What a call fails of here it fails of again when it runs, where the model is told.
      const answer = await guarded(args as z.output<SCHEMA>, call).catch(() => undefined);
      return answer?.status === 'pending';
    },
    execute: (args: unknown, run, details) => {
      const signal = details?.signal;
      const call = { id: details?.toolCall?.callId, thread: threadOf(run?.context), timeoutMs, signal };
      return callAsTool(
        () => guarded(args as z.output<SCHEMA>, call),
        async (pending) => (onPending === 'wait' ? pending.outcome({ signal }) : pending),
      );
    },
  } as Parameters<typeof tool<SCHEMA, Context, ToolAnswer>>[0]);

  governed.set(made, async (text, id, context, { signal }) => {
    const args = parameters.parse(JSON.parse(text));
    return guarded(args, { id, thread: threadOf(context), timeoutMs, signal });
  });
  return made;
}

/** What this package uses of a run's state, whatever its agent. */
type State = Pick<RunState<unknown, never>, 'approve' | 'reject' | 'getInterruptions' | '_context'>;

/**
 * Waits until people have decided, and answers the run's interruptions: run the agent again with the same state. What was carried out is
 * approved, so that the SDK runs the tool, which gets the recorded outcome; what people refused is rejected, with their reason.
 *
 * @param state of the interrupted run, or `RunState.fromString` of what was kept of it
 * @returns how many it has answered; interruptions of other tools are left as they are
 * @throws CountersignError TIMED_OUT after `timeoutMs`, default none
 */
export async function settleInterruptions(state: object, wait: WaitOptions = {}): Promise<number> {
  const run = state as State;
  const settled = await Promise.all(run.getInterruptions().map((item) => settle(run, item, wait)));
  return settled.filter(Boolean).length;
}

async function settle(run: State, item: RunToolApprovalItem, wait: WaitOptions): Promise<boolean> {
  const { rawItem, agent } = item;
  if (rawItem.type !== 'function_call') return false;
  const called = agent.tools.find((each) => each.type === 'function' && each.name === rawItem.name);
  const actionOf = called === undefined ? undefined : governed.get(called);
  if (actionOf === undefined) return false;
  const { _context: context } = run;
  const answer = await actionOf(rawItem.arguments, rawItem.callId, context.context, wait);
  const outcome = answer.status === 'pending' ? await answer.outcome(wait) : answer;
  if (wasRefused(outcome)) {
    run.reject(item, { message: JSON.stringify(forModel(outcome)) });
  } else {
    run.approve(item);
  }
  return true;
}
