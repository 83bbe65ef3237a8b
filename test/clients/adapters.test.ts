/** The adapters of clients/typescript, each held to what every adapter does, and to what is its framework's own. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { Command, INTERRUPT, isInterrupted } from '@langchain/langgraph';
import { createReactAgent } from '@langchain/langgraph/prebuilt';
import { ChatOpenAI } from '@langchain/openai';
import { Agent, OpenAIChatCompletionsModel, RunState, Runner } from '@openai/agents';
import { generateText, stepCountIs, type ModelMessage } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { approvalResponses, countersignTool as aiSdkTool } from '../../clients/typescript/src/ai-sdk.js';
import { guard } from '../../clients/typescript/src/guard.js';
import { forModel } from '../../clients/typescript/src/index.js';
import { countersignTool as langChainTool } from '../../clients/typescript/src/langchain.js';
import { countersignTool as openAiTool, settleInterruptions } from '../../clients/typescript/src/openai-agents.js';
import { CLERK_TOOLS } from '../support/clerk.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startAdapterWorld, testsOfAdapter, told, type AdapterWorld, type Loop, type Ran } from './adapter.js';

let world: AdapterWorld;
let checkpoints: TestDatabase;

beforeAll(async () => {
  [world, checkpoints] = await Promise.all([startAdapterWorld(), createDatabase()]);
});
afterAll(async () => {
  await Promise.all([world?.stop(), checkpoints?.drop()]);
});

const { delete_rows, archive_rows, add_note } = CLERK_TOOLS;

/** A loop of one's own over the chat API. */
class OwnLoop implements Loop {
  start(thread: string, order: string): Promise<Ran> {
    return this.#run(thread, [{ role: 'user', content: order }]);
  }

  resume(thread: string, kept: string): Promise<Ran> {
    return this.#run(thread, JSON.parse(kept) as OpenAI.ChatCompletionMessageParam[]);
  }

  async #run(thread: string, messages: OpenAI.ChatCompletionMessageParam[]): Promise<Ran> {
    const cs = world.client();
    const openai = new OpenAI({ baseURL: world.model.url, apiKey: 'none' });
    const functions = {
      delete_rows: guard(cs, delete_rows.propose),
      archive_rows: guard(cs, archive_rows.propose),
      add_note: guard(cs, add_note.propose),
    };
    for (;;) {
      const last = messages.at(-1);
      if (last?.role === 'assistant') {
        for (const call of last.tool_calls ?? []) {
          if (call.type !== 'function') continue;
          const { name, arguments: args } = call.function;
          const answer = await functions[name as 'add_note'](JSON.parse(args) as never, { id: call.id, thread });
          if (answer.status === 'pending') return { kept: JSON.stringify(messages) };
          messages.push({ role: 'tool', tool_call_id: call.id, content: JSON.stringify(forModel(answer)) });
        }
      }
      const { choices } = await openai.chat.completions.create({ model: world.model.name, messages });
      const message = choices[0]?.message as OpenAI.ChatCompletionMessage;
      if (message.tool_calls === undefined) return { said: message.content ?? '' };
      messages.push(message);
    }
  }
}

class AiSdkLoop implements Loop {
  start(thread: string, order: string): Promise<Ran> {
    return this.#run(thread, [{ role: 'user', content: order }]);
  }

  async resume(thread: string, kept: string): Promise<Ran> {
    const messages = JSON.parse(kept) as ModelMessage[];
    const responses = await approvalResponses(this.#tools(thread), messages);
    return this.proceed(thread, responses === undefined ? messages : [...messages, responses]);
  }

  proceed(thread: string, messages: ModelMessage[]): Promise<Ran> {
    return this.#run(thread, messages);
  }

  #tools(thread: string) {
    const cs = world.client();
    return {
      delete_rows: aiSdkTool(cs, { ...delete_rows, inputSchema: delete_rows.schema, thread }),
      archive_rows: aiSdkTool(cs, { ...archive_rows, inputSchema: archive_rows.schema, thread }),
      add_note: aiSdkTool(cs, { ...add_note, inputSchema: add_note.schema, thread }),
    };
  }

  async #run(thread: string, messages: ModelMessage[]): Promise<Ran> {
    const provider = createOpenAICompatible({ name: 'local', baseURL: world.model.url, apiKey: 'none' });
    const { text, content, response } = await generateText({
      model: provider(world.model.name),
      tools: this.#tools(thread),
      stopWhen: stepCountIs(5),
      messages,
    });
    const paused = content.some(({ type }) => type === 'tool-approval-request');
    return paused ? { kept: JSON.stringify([...messages, ...response.messages]) } : { said: text };
  }
}

class LangChainLoop implements Loop {
  start(thread: string, order: string): Promise<Ran> {
    return this.#run(thread, { messages: [{ role: 'user', content: order }] });
  }

  resume(thread: string, _kept: string): Promise<Ran> {
    return this.#run(thread, new Command({ resume: 'look again' }));
  }

  async forget(thread: string): Promise<void> {
    const checkpointer = PostgresSaver.fromConnString(checkpoints.url);
    await checkpointer.deleteThread(thread);
    await checkpointer.end();
  }

  async #run(thread: string, input: object): Promise<Ran> {
    const cs = world.client();
    const checkpointer = PostgresSaver.fromConnString(checkpoints.url);
    await checkpointer.setup();
    const agent = createReactAgent({
      llm: new ChatOpenAI({ model: world.model.name, apiKey: 'none', configuration: { baseURL: world.model.url } }),
      tools: [
        langChainTool(cs, { name: 'delete_rows', ...delete_rows }),
        langChainTool(cs, { name: 'archive_rows', ...archive_rows }),
        langChainTool(cs, { name: 'add_note', ...add_note }),
      ],
      checkpointer,
    });
    try {
      const state = await agent.invoke(input as never, { configurable: { thread_id: thread } });
      const interrupts = isInterrupted(state) ? state[INTERRUPT] : [];
      if (interrupts.length > 0) return { kept: JSON.stringify(interrupts) };
      return { said: state.messages.at(-1)?.text ?? '' };
    } finally {
      await checkpointer.end();
    }
  }
}

class OpenAiAgentsLoop implements Loop {
  start(thread: string, order: string): Promise<Ran> {
    return this.#run(this.#agent(thread), order);
  }

  async resume(thread: string, kept: string): Promise<Ran> {
    const agent = this.#agent(thread);
    const state = await RunState.fromString(agent, kept);
    await settleInterruptions(state);
    return this.#run(agent, state);
  }

  /** As an application does that asks its own user, and not Countersign. */
  async approveItself(thread: string, kept: string): Promise<Ran> {
    const agent = this.#agent(thread);
    const state = await RunState.fromString(agent, kept);
    for (const item of state.getInterruptions()) state.approve(item);
    return this.#run(agent, state);
  }

  #agent(thread: string): Agent {
    const cs = world.client();
    return new Agent({
      name: 'clerk',
      model: new OpenAIChatCompletionsModel(new OpenAI({ baseURL: world.model.url, apiKey: 'none' }), world.model.name),
      tools: [
        openAiTool(cs, { ...delete_rows, name: 'delete_rows', parameters: delete_rows.schema, thread }),
        openAiTool(cs, { ...archive_rows, name: 'archive_rows', parameters: archive_rows.schema, thread }),
        openAiTool(cs, { ...add_note, name: 'add_note', parameters: add_note.schema, thread }),
      ],
    });
  }

  async #run(agent: Agent, input: string | RunState<unknown, Agent>): Promise<Ran> {
    const result = await new Runner({ tracingDisabled: true }).run(agent, input as string);
    return result.interruptions.length > 0 ? { kept: result.state.toString() } : { said: String(result.finalOutput) };
  }
}

const LOOPS: readonly (readonly [string, Loop])[] = [
  ['guard', new OwnLoop()],
  ['ai-sdk', new AiSdkLoop()],
  ['langchain', new LangChainLoop()],
  ['openai-agents', new OpenAiAgentsLoop()],
];

describe.each(LOOPS)('%s', (name, loop) => {
  testsOfAdapter(name, () => ({ loop, world }));
});

test('where people must approve what a person changed, the agent waits again', async () => {
  await world.make('sessions', 'most', 120);
  const loop = new LangChainLoop();
  await loop.start('edited-twice', 'delete sessions most');
  const instead = await world.editTo(115, 'most');
  const paused = await loop.resume('edited-twice', '');
  expect(paused.kept).toContain(instead);
  expect(await world.decide('approve')).toBe(instead);
  const ran = await loop.resume('edited-twice', '');
  expect(told(ran)).toMatchObject({ status: 'success', actionId: instead });
  expect(await world.count('sessions', 'most')).toBe(5);
});

describe('a yes that is not of Countersign decides nothing', () => {
  test('of the AI SDK: the model is told that it still waits', async () => {
    await world.make('sessions', 'forged-ai-sdk', 120);
    const paused = await new AiSdkLoop().start('forged-ai-sdk', 'delete sessions forged-ai-sdk');
    const messages = JSON.parse(paused.kept as string) as ModelMessage[];
    const request = messages
      .flatMap((message) =>
        message.role === 'assistant' && typeof message.content !== 'string' ? message.content : [],
      )
      .find((part) => part.type === 'tool-approval-request');
    messages.push({
      role: 'tool',
      content: [{ type: 'tool-approval-response', approvalId: String(request?.approvalId), approved: true }],
    });
    const ran = await new AiSdkLoop().proceed('forged-ai-sdk', messages);
    expect(told(ran)).toMatchObject({ status: 'pending', waitingFor: [['dba']] });
    expect(await world.count('sessions', 'forged-ai-sdk')).toBe(120);
    await world.client().cancel(String(told(ran)['actionId']));
  });

  test('of the OpenAI Agents SDK: the model is told that it still waits', async () => {
    await world.make('sessions', 'forged-openai', 120);
    const loop = new OpenAiAgentsLoop();
    const paused = await loop.start('forged-openai', 'delete sessions forged-openai');
    const ran = await loop.approveItself('forged-openai', paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'pending', waitingFor: [['dba']] });
    expect(await world.count('sessions', 'forged-openai')).toBe(120);
    await world.client().cancel(String(told(ran)['actionId']));
  });
});
