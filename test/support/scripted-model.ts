/** A server that speaks the OpenAI chat API, on loopback: what its model says is a function of the conversation, so that it holds nothing in mind. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  readonly content?: unknown;
  readonly tool_calls?: readonly unknown[] | null;
}

/** A text, or the calls of tools: their ids are `call_1`, `call_2` …, in every conversation the same. */
export type Turn = string | { readonly tool: string; readonly args: object };

export interface ScriptedModel {
  /** With `/v1` at its end. */
  readonly url: string;
  readonly name: 'scripted';
  stop(): Promise<void>;
}

export async function startScriptedModel(say: (messages: readonly ChatMessage[]) => Turn): Promise<ScriptedModel> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    response.setHeader('content-type', 'application/json');
    if (request.url !== '/v1/chat/completions') return void response.writeHead(404).end('{}');
    const { messages } = JSON.parse(body) as { messages: readonly ChatMessage[] };
    const called = messages.flatMap(({ tool_calls }) => tool_calls ?? []).length;
    response.end(JSON.stringify(completion(say(messages), called + 1)));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    name: 'scripted',
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

/** https://platform.openai.com/docs/api-reference/chat/object */
function completion(turn: Turn, call: number): object {
  const isText = typeof turn === 'string';
  const called = (made: Exclude<Turn, string>) => ({
    id: `call_${call}`,
    type: 'function',
    function: { name: made.tool, arguments: JSON.stringify(made.args) },
  });
  return {
    id: `chatcmpl-${call}`,
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'scripted',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: isText ? turn : null,
          refusal: null,
          ...(isText ? {} : { tool_calls: [called(turn)] }),
        },
        logprobs: null,
        finish_reason: isText ? 'stop' : 'tool_calls',
      },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
}

/** The text of a message, which some clients send in parts. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return ((content ?? []) as readonly { readonly text?: string }[]).map(({ text }) => text ?? '').join('');
}
