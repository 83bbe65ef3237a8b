/** `countersign-client/ai-sdk`: tools for the Vercel AI SDK 6 and 7. What waits for people is the SDK's own request for an approval. */
import {
  tool,
  type FlexibleSchema,
  type ModelMessage,
  type Tool,
  type ToolApprovalRequest,
  type ToolApprovalResponse,
  type ToolModelMessage,
} from 'ai';
import type { Countersign } from './client.js';
import { forModel, wasRefused } from './for-model.js';
import { callAsTool, guard, type Guarded, type OnPending, type Propose, type ToolAnswer } from './guard.js';
import type { PendingAction, WaitOptions } from './types.js';

/** A tool of the SDK as its model sees it, and what a call of it proposes. */
export interface ToolDefinition<INPUT> {
  /** For the model. */
  readonly description: string;
  readonly inputSchema: FlexibleSchema<INPUT>;
  /** What a call comes to. */
  readonly propose: Propose<INPUT>;
  /** The conversation, under a name that outlives this process: with the call's id it makes the action's. */
  readonly thread: string;
  /** Default `pause`: the SDK's `tool-approval-request`, which `approvalResponses` answers. */
  readonly onPending?: OnPending;
  /** How long a call waits for an outcome, or to know that people are needed. Milliseconds, default 60 000. */
  readonly timeoutMs?: number;
}

interface Governed {
  readonly guarded: Guarded<never>;
  readonly thread: string;
}

/** Kept beside the tools, which are the SDK's own. */
const governed = new WeakMap<object, Governed>();

/** A tool of the SDK that proposes to Countersign: the model is told what became of it. */
export function countersignTool<INPUT>(cs: Countersign, definition: ToolDefinition<INPUT>): Tool<INPUT, ToolAnswer> {
  const { description, inputSchema, propose, thread, onPending = 'pause', timeoutMs } = definition;
  const guarded = guard(cs, propose);

  const made = {
    description,
    inputSchema,
    // The SDK asks again before it runs what was approved: what it asked people about once stays asked about.
    needsApproval: async (input: INPUT, { toolCallId, messages }: Called): Promise<boolean> => {
      if (onPending !== 'pause') return false;
      if (requestsIn(messages).some((request) => request.toolCallId === toolCallId)) return true;
      // What a call fails of here it fails of again when it runs, where the model is told.
      const answer = await guarded(input, { id: toolCallId, thread, timeoutMs }).catch(() => undefined);
      return answer?.status === 'pending';
    },
    execute: (input: INPUT, { toolCallId: id, abortSignal: signal }: Executed): Promise<ToolAnswer> =>
      callAsTool(
        () => guarded(input, { id, thread, timeoutMs, signal }),
        async (pending: PendingAction) => (onPending === 'wait' ? pending.outcome({ signal }) : pending),
      ),
  };
  governed.set(made, { guarded, thread });
  return tool(made as unknown as Tool<INPUT, ToolAnswer>);
}

interface Called {
  readonly toolCallId: string;
  readonly messages: readonly ModelMessage[];
}

interface Executed {
  readonly toolCallId: string;
  readonly abortSignal?: AbortSignal;
}

/**
 * Waits until people have decided, and answers the SDK's open requests for approval: the message to append before the next call of
 * `generateText` or `streamText`. What was carried out is approved, so that the SDK runs the tool, which gets the recorded outcome;
 * what people refused is not, with their reason.
 *
 * @param tools those that the messages come from; of other tools nothing is answered
 * @returns undefined when nothing of these tools is asked
 * @throws CountersignError TIMED_OUT after `timeoutMs`, default none
 */
export async function approvalResponses(
  tools: Readonly<Record<string, object>>,
  messages: readonly ModelMessage[],
  wait: WaitOptions = {},
): Promise<ToolModelMessage | undefined> {
  const answered = new Set(partsOf(messages).map((part) => (part.type === RESPONSE ? part.approvalId : undefined)));
  const open = requestsIn(messages).filter(({ approvalId }) => !answered.has(approvalId));
  const responses = await Promise.all(open.map((request) => responseTo(request, tools, messages, wait)));
  const content = responses.filter((response) => response !== undefined);
  return content.length === 0 ? undefined : { role: 'tool', content };
}

const RESPONSE = 'tool-approval-response';

async function responseTo(
  { approvalId, toolCallId }: ToolApprovalRequest,
  tools: Readonly<Record<string, object>>,
  messages: readonly ModelMessage[],
  wait: WaitOptions,
): Promise<ToolApprovalResponse | undefined> {
  const call = partsOf(messages).find((part) => part.type === 'tool-call' && part.toolCallId === toolCallId);
  const of = call?.type === 'tool-call' ? governed.get(tools[call.toolName] ?? {}) : undefined;
  if (call?.type !== 'tool-call' || of === undefined) return undefined;
  const { guarded, thread } = of;
  const answer = await guarded(call.input as never, { id: toolCallId, thread, signal: wait.signal });
  const outcome = answer.status === 'pending' ? await answer.outcome(wait) : answer;
  if (!wasRefused(outcome)) {
    return { type: RESPONSE, approvalId, approved: true };
  }
  const { reason, advice } = forModel(outcome);
  return { type: RESPONSE, approvalId, approved: false, reason: `${reason} ${advice ?? ''}`.trim() };
}

type Part = Exclude<ModelMessage['content'], string>[number];

function partsOf(messages: readonly ModelMessage[]): readonly Part[] {
  return messages.flatMap(({ content }): readonly Part[] => (typeof content === 'string' ? [] : content));
}

function requestsIn(messages: readonly ModelMessage[]): readonly ToolApprovalRequest[] {
  return partsOf(messages).filter((part) => part.type === 'tool-approval-request');
}
