/** `countersign-client/langchain`: tools for LangChain.js. What waits for people interrupts the graph of LangGraph. */
import { tool, type DynamicStructuredTool } from '@langchain/core/tools';
import type { InferInteropZodOutput, InteropZodObject } from '@langchain/core/utils/types';
import { interrupt } from '@langchain/langgraph';
import type { Countersign } from './client.js';
import { callAsTool, guard, type OnPending, type Propose, type ToolAnswer } from './guard.js';
import { pausedOn, type Paused } from './paused.js';
import type { Outcome, PendingAction } from './types.js';

/** A tool of LangChain as its model sees it, and what a call of it proposes. */
export interface ToolDefinition<SCHEMA extends InteropZodObject> {
  readonly name: string;
  /** For the model. */
  readonly description: string;
  readonly schema: SCHEMA;
  /** What a call comes to. */
  readonly propose: Propose<InferInteropZodOutput<SCHEMA>>;
  /** The conversation, under a name that outlives this process. Default: the `thread_id` of the graph's config. */
  readonly thread?: string;
  /** Default `pause`: LangGraph's `interrupt`, which needs a checkpointer. */
  readonly onPending?: OnPending;
  /** How long a call waits for an outcome, or to know that people are needed. Milliseconds, default 60 000. */
  readonly timeoutMs?: number;
}

/** The value of an interrupt: what the graph waits for. It is resumed with any value; the decision is never the value's. */
export interface CountersignInterrupt extends Paused {
  readonly tool: string;
}

/** What the framework says of a call; the rest of its config is not needed here. */
interface CallConfig {
  readonly toolCall?: { readonly id?: string };
  readonly configurable?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** A tool of LangChain that proposes to Countersign. The model reads a `ToolAnswer` as JSON; the message's artifact is the same. */
export function countersignTool<SCHEMA extends InteropZodObject>(
  cs: Countersign,
  definition: ToolDefinition<SCHEMA>,
): DynamicStructuredTool<SCHEMA> {
  const { name, description, schema, propose, onPending = 'pause', timeoutMs } = definition;
  const guarded = guard(cs, propose);

  const call = async (args: InferInteropZodOutput<SCHEMA>, config: CallConfig): Promise<[string, ToolAnswer]> => {
    const { toolCall, configurable, signal } = config;
    const thread = definition.thread ?? textIn(configurable, 'thread_id');
    // Where a node calls the tool by itself, its place in the graph says which call it is: it is the same after a resume.
    const id = toolCall?.id ?? textIn(configurable, 'checkpoint_ns');
    const proposing = () => guarded(args, { id, thread, timeoutMs, signal });
    const answer = await callAsTool(proposing, async (pending) => {
      if (onPending === 'wait') return pending.outcome({ signal });
      return onPending === 'pause' && id !== undefined ? decided(name, pending, proposing) : pending;
    });
    return [JSON.stringify(answer), answer];
  };
  // Its overloads cannot tell which kind of schema this is; it is one of an object.
  const fields = { name, description, schema, responseFormat: 'content_and_artifact' };
  return tool(call as never, fields as never) as unknown as DynamicStructuredTool<SCHEMA>;
}

/** Interrupts the graph as long as the action waits. Resumed, the graph comes here anew, and asks the gateway what was decided. */
async function decided(
  tool: string,
  pending: PendingAction,
  again: () => Promise<Outcome | PendingAction>,
): Promise<Outcome | PendingAction> {
  let answer: Outcome | PendingAction = pending;
  while (answer.status === 'pending') {
    interrupt({ tool, ...pausedOn(answer) } satisfies CountersignInterrupt);
    answer = await again();
  }
  return answer;
}

function textIn(configurable: CallConfig['configurable'], name: string): string | undefined {
  const text = configurable?.[name];
  return typeof text === 'string' && text !== '' ? text : undefined;
}
