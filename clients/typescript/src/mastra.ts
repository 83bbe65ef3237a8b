/** `countersign-client/mastra`: tools for Mastra. What waits for people suspends the run of the agent. */
import type { InferPublicSchema, PublicSchema } from '@mastra/core/schema';
import { Tool, type ToolExecutionContext } from '@mastra/core/tools';
import type { Countersign } from './client.js';
import { callAsTool, guard, type OnPending, type Propose, type ToolAnswer } from './guard.js';
import { pausedOn, type Paused } from './paused.js';

/** A tool of Mastra as its model sees it, and what a call of it proposes. */
export interface ToolDefinition<SCHEMA extends PublicSchema> {
  readonly id: string;
  /** For the model. */
  readonly description: string;
  readonly inputSchema: SCHEMA;
  /** What a call comes to. */
  readonly propose: Propose<InferPublicSchema<SCHEMA>>;
  /** The conversation, under a name that outlives this process. Default: the thread of the agent's memory. */
  readonly thread?: string;
  /** Default `pause`: Mastra's `suspend`, which needs a storage. */
  readonly onPending?: OnPending;
  /** How long a call waits for an outcome, or to know that people are needed. Milliseconds, default 60 000. */
  readonly timeoutMs?: number;
}

/** The payload of a suspension: what the run waits for. It is resumed with any value; the decision is never the value's. */
export type CountersignSuspension = Paused;

/** What Mastra says of a call; the rest of its context is not needed here. */
type CallContext = Pick<ToolExecutionContext<CountersignSuspension>, 'agent' | 'abortSignal'>;

/** A tool of Mastra that proposes to Countersign: the model is told what became of it. Resumed, it asks the gateway what was decided. */
export function countersignTool<SCHEMA extends PublicSchema>(
  cs: Countersign,
  definition: ToolDefinition<SCHEMA>,
): Tool<InferPublicSchema<SCHEMA>, ToolAnswer, CountersignSuspension> {
  type Input = InferPublicSchema<SCHEMA>;
  const { id, description, inputSchema, propose, onPending = 'pause', timeoutMs } = definition;
  const guarded = guard(cs, propose);

  const execute = async (input: Input, { agent, abortSignal: signal }: CallContext): Promise<ToolAnswer | void> => {
    const thread = definition.thread ?? agent?.threadId;
    let waitsFor: CountersignSuspension | undefined;
    const answer = await callAsTool(
      () => guarded(input, { id: agent?.toolCallId, thread, timeoutMs, signal }),
      async (pending) => {
        if (onPending === 'wait') return pending.outcome({ signal });
        if (onPending === 'pause') waitsFor = pausedOn(pending);
        return pending;
      },
    );
    return waitsFor === undefined || agent === undefined ? answer : agent.suspend(waitsFor);
  };
  return new Tool<Input, ToolAnswer, CountersignSuspension>({
    id,
    description,
    inputSchema: inputSchema as PublicSchema<Input>,
    execute,
  });
}
