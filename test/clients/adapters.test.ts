/**
 * The adapters of clients/typescript, each in a real loop of its framework, with a scripted model behind the framework's own provider, against a real
 * gateway and worker: allowed, denied, approved after a restart of the agent, approved with a mismatch, and the same call sent twice.
 */
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
import { Countersign, forModel } from '../../clients/typescript/src/index.js';
import { countersignTool as langChainTool } from '../../clients/typescript/src/langchain.js';
import { countersignTool as openAiTool, settleInterruptions } from '../../clients/typescript/src/openai-agents.js';
import { CLERK_SCHEMA, CLERK_TOOLS, clerkSays, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.js';
import { startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let gateway: TestGateway;
let model: ScriptedModel;
let checkpoints: TestDatabase;
let dana: Sender;
let token: string;

beforeAll(async () => {
  [stack, model, checkpoints] = await Promise.all([
    startStack({ schema: CLERK_SCHEMA }),
    startScriptedModel(clerkSays),
    createDatabase(),
  ]);
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  token = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all([stack?.stop(), model?.stop(), checkpoints?.drop()]);
});

const client = (): Countersign => new Countersign({ url: gateway.url, token });

/** How a run ended: the agent said something, or it stopped for people and this was kept of it. */
interface Ran {
  readonly said?: string;
  readonly kept?: string;
}

/** An agent of one framework. Every call makes a new one, as a process that was started anew does. */
interface Loop {
  start(thread: string, order: string): Promise<Ran>;
  resume(thread: string, kept: string): Promise<Ran>;
  /** Where the framework itself keeps the conversation. */
  forget?(thread: string): Promise<void>;
}

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
    const cs = client();
    const openai = new OpenAI({ baseURL: model.url, apiKey: 'none' });
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
      const { choices } = await openai.chat.completions.create({ model: model.name, messages });
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
    const cs = client();
    return {
      delete_rows: aiSdkTool(cs, { ...delete_rows, inputSchema: delete_rows.schema, thread }),
      archive_rows: aiSdkTool(cs, { ...archive_rows, inputSchema: archive_rows.schema, thread }),
      add_note: aiSdkTool(cs, { ...add_note, inputSchema: add_note.schema, thread }),
    };
  }

  async #run(thread: string, messages: ModelMessage[]): Promise<Ran> {
    const provider = createOpenAICompatible({ name: 'local', baseURL: model.url, apiKey: 'none' });
    const { text, content, response } = await generateText({
      model: provider(model.name),
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
    const cs = client();
    const checkpointer = PostgresSaver.fromConnString(checkpoints.url);
    await checkpointer.setup();
    const agent = createReactAgent({
      llm: new ChatOpenAI({ model: model.name, apiKey: 'none', configuration: { baseURL: model.url } }),
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
    const cs = client();
    return new Agent({
      name: 'clerk',
      model: new OpenAIChatCompletionsModel(new OpenAI({ baseURL: model.url, apiKey: 'none' }), model.name),
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

/** What the model was told last, as it repeats it. */
function told({ said = '' }: Ran): Record<string, unknown> {
  return JSON.parse(said.replace(/^I was told: /, '')) as Record<string, unknown>;
}

async function count(table: 'sessions' | 'users' | 'notes', note: string): Promise<number> {
  const { rowCount } = await stack.shop.query(`SELECT FROM ${table} WHERE note = $1`, [note]);
  return rowCount ?? 0;
}

/** Decides on the one action that waits. @returns its id, or that of the action that is done instead */
async function decide(verdict: 'approve' | 'deny' | 'request_changes', more: object = {}): Promise<string> {
  const [asked, ...others] = await until(
    async () =>
      (await dana.get('/v1/approvals')).body['approvalRequests'] as { actionId: string; shownDigest: string }[],
    (found) => found.length > 0,
  );
  expect(others).toEqual([]);
  const { actionId, shownDigest } = asked as { actionId: string; shownDigest: string };
  const answer = await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict, ...more });
  expect(answer.status).toBe(200);
  return (answer.body['revisedBy'] as string | undefined) ?? actionId;
}

/** A person lets only the first rows of a note be deleted. @returns the id of the action that is done instead */
async function editTo(count: number, note: string): Promise<string> {
  const first = `SELECT id FROM sessions WHERE note = $1 ORDER BY id OFFSET $2 LIMIT 1`;
  const { rows } = await stack.shop.query<{ id: number }>(first, [note, count]);
  const input = { op: 'delete', table: 'sessions', where: { note, id: { lt: rows[0]?.id } } };
  return decide('request_changes', { reason: 'Not all of them.', edit: { input } });
}

describe.each(LOOPS)('%s', (name, loop) => {
  test('what is allowed is done, and the model is told', async () => {
    await stack.shop.query(rowsOf('sessions', `few-${name}`, 3));
    const ran = await loop.start(`allowed-${name}`, `delete sessions few-${name}`);
    expect(told(ran)).toMatchObject({ status: 'success' });
    expect(await count('sessions', `few-${name}`)).toBe(0);
    const { actions } = await client().list({ text: String(told(ran)['actionId']) });
    expect(actions).toMatchObject([{ status: 'success', tool: 'shop-db' }]);
  });

  test('what is denied is not, and the model does something else', async () => {
    await stack.shop.query(rowsOf('users', `old-${name}`, 2));
    const ran = await loop.start(`denied-${name}`, `delete users old-${name}`);
    expect(told(ran)).toMatchObject({ status: 'success' });
    expect(await count('users', `archived old-${name}`)).toBe(2);
    const denied = await client().list({ status: 'denied', tool: 'shop-db' });
    expect(denied.actions[0]).toMatchObject({
      code: 'POLICY_DENIED',
      reason: expect.stringContaining('protected') as string,
    });
  });

  test('what waits for people is done once they agree, whatever became of the agent meanwhile', async () => {
    await stack.shop.query(rowsOf('sessions', `stale-${name}`, 120));
    const thread = `approved-${name}`;
    const paused = await loop.start(thread, `delete sessions stale-${name}`);
    expect(paused).toEqual({ kept: expect.any(String) as string });
    expect(await count('sessions', `stale-${name}`)).toBe(120);
    const actionId = await decide('approve');
    const ran = await loop.resume(thread, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'success', actionId });
    expect(await count('sessions', `stale-${name}`)).toBe(0);
  });

  test('what people deny is not done, and the model reads why', async () => {
    await stack.shop.query(rowsOf('sessions', `kept-${name}`, 120));
    const paused = await loop.start(`refused-${name}`, `delete sessions kept-${name}`);
    await decide('deny', { reason: 'They are still needed.' });
    const ran = await loop.resume(`refused-${name}`, paused.kept as string);
    expect(ran.said).toContain('They are still needed.');
    expect(ran.said).toContain('Do not repeat the call unchanged');
    expect(await count('sessions', `kept-${name}`)).toBe(120);
  });

  test('what a person changed is done as changed, and the model is told what became of that', async () => {
    await stack.shop.query(rowsOf('sessions', `some-${name}`, 120));
    const paused = await loop.start(`edited-${name}`, `delete sessions some-${name}`);
    const instead = await editTo(3, `some-${name}`);
    const ran = await loop.resume(`edited-${name}`, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'success', actionId: instead });
    expect(told(ran)['advice']).toContain('A person changed what you proposed');
    expect(await count('sessions', `some-${name}`)).toBe(117);
  });

  test('a mismatch is told as such, also after an approval', async () => {
    await stack.shop.query(rowsOf('sessions', `broken-${name}`, 120));
    const paused = await loop.start(`mismatch-${name}`, `delete sessions broken-${name}`);
    await decide('approve');
    const ran = await loop.resume(`mismatch-${name}`, paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'mismatch', failedChecks: ['expect'] });
    expect(told(ran)['advice']).toContain('Do not repeat it');
  });

  test('the same call sent twice is one action', async () => {
    const id = LOOPS.findIndex(([each]) => each === name);
    const order = `note ${id} twice-${name}`;
    const one = await loop.start(`twice-${name}`, order);
    // A run whose state was lost: the framework makes the same calls again.
    await loop.forget?.(`twice-${name}`);
    const two = await loop.start(`twice-${name}`, order);
    expect(told(two)).toEqual(told(one));
    expect(told(one)).toMatchObject({ status: 'success' });
    expect(await count('notes', `twice-${name}`)).toBe(1);
    // The model numbers its calls anew in another conversation.
    const other = await loop.start(`other-${name}`, order);
    expect(told(other)['actionId']).not.toBe(told(one)['actionId']);
  });
});

test('where people must approve what a person changed, the agent waits again', async () => {
  await stack.shop.query(rowsOf('sessions', 'most', 120));
  const loop = new LangChainLoop();
  await loop.start('edited-twice', 'delete sessions most');
  const instead = await editTo(115, 'most');
  const paused = await loop.resume('edited-twice', '');
  expect(paused.kept).toContain(instead);
  expect(await decide('approve')).toBe(instead);
  const ran = await loop.resume('edited-twice', '');
  expect(told(ran)).toMatchObject({ status: 'success', actionId: instead });
  expect(await count('sessions', 'most')).toBe(5);
});

describe('a yes that is not of Countersign decides nothing', () => {
  test('of the AI SDK: the model is told that it still waits', async () => {
    await stack.shop.query(rowsOf('sessions', 'forged-ai-sdk', 120));
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
    expect(await count('sessions', 'forged-ai-sdk')).toBe(120);
    await client().cancel(String(told(ran)['actionId']));
  });

  test('of the OpenAI Agents SDK: the model is told that it still waits', async () => {
    await stack.shop.query(rowsOf('sessions', 'forged-openai', 120));
    const loop = new OpenAiAgentsLoop();
    const paused = await loop.start('forged-openai', 'delete sessions forged-openai');
    const ran = await loop.approveItself('forged-openai', paused.kept as string);
    expect(told(ran)).toMatchObject({ status: 'pending', waitingFor: [['dba']] });
    expect(await count('sessions', 'forged-openai')).toBe(120);
    await client().cancel(String(told(ran)['actionId']));
  });
});
