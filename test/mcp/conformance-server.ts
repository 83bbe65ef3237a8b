/** The MCP server that the official conformance suite asks for (https://github.com/modelcontextprotocol/conformance), in this process. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import {
  createMcpHandler,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type CallToolResult,
  type GetPromptResult,
  type ReadResourceResult,
} from '@modelcontextprotocol/server';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

const text = (words: string) => ({ type: 'text' as const, text: words });
const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' };
const embedded = (uri: string, mimeType: string, words: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: words },
});

/** Tools that take no arguments, with their answers. */
const ANSWERS: Readonly<Record<string, CallToolResult>> = {
  test_simple_text: { content: [text('This is a simple text response for testing.')] },
  test_image_content: { content: [image] },
  test_audio_content: { content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] },
  test_embedded_resource: {
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  },
  test_multiple_content_types: {
    content: [
      text('Multiple content types test:'),
      image,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  },
  test_error_handling: { content: [text('This tool intentionally returns an error for testing')], isError: true },
};

const NOTHING = { type: 'object' as const, properties: {} };
const DRAFT = {
  name: 'json_schema_2020_12_tool',
  description: 'Tool with JSON Schema 2020-12 features',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object' as const,
    $defs: { address: { type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
    properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
    additionalProperties: false,
  },
};

export const TOOLS: readonly string[] = [...Object.keys(ANSWERS), DRAFT.name];

const RESOURCES: Readonly<Record<string, ReadResourceResult['contents'][number]>> = {
  'test://static-text': {
    uri: 'test://static-text',
    mimeType: 'text/plain',
    text: 'This is the content of the static text resource.',
  },
  'test://static-binary': { uri: 'test://static-binary', mimeType: 'image/png', blob: PNG },
};

const said = (...content: GetPromptResult['messages'][number]['content'][]): GetPromptResult => ({
  messages: content.map((one) => ({ role: 'user', content: one })),
});
const argument = (name: string) => ({ name, description: `The ${name}`, required: true });

interface Prompt {
  readonly arguments?: readonly { readonly name: string; readonly description: string; readonly required: boolean }[];
  get(given: Readonly<Record<string, string>>): GetPromptResult;
}

export const PROMPTS: Readonly<Record<string, Prompt>> = {
  test_simple_prompt: { get: () => said(text('This is a simple prompt for testing.')) },
  test_prompt_with_arguments: {
    arguments: [argument('arg1'), argument('arg2')],
    get: ({ arg1, arg2 }) => said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  },
  test_prompt_with_embedded_resource: {
    arguments: [argument('resourceUri')],
    get: ({ resourceUri = '' }) =>
      said(
        embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
        text('Please process the embedded resource above.'),
      ),
  },
  test_prompt_with_image: { get: () => said(image, text('Please analyze the image above.')) },
};

function serve(): Server {
  const server = new Server(
    { name: 'conformance', version: '1.0.0' },
    { capabilities: { tools: {}, resources: {}, prompts: {} } },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: [
      ...Object.keys(ANSWERS).map((name) => ({ name, description: `The tool ${name}`, inputSchema: NOTHING })),
      DRAFT,
    ],
  }));
  server.setRequestHandler('tools/call', ({ params: { name } }) => {
    const answer = ANSWERS[name] ?? (name === DRAFT.name ? { content: [text('done')] } : undefined);
    return answer ?? unknown(`the tool ${name}`);
  });
  server.setRequestHandler('resources/list', () => ({
    resources: Object.keys(RESOURCES).map((uri) => ({ uri, name: uri.slice('test://'.length) })),
  }));
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template' }],
  }));
  server.setRequestHandler('resources/read', ({ params: { uri } }) => ({ contents: [RESOURCES[uri] ?? made(uri)] }));
  server.setRequestHandler('prompts/list', () => ({
    prompts: Object.entries(PROMPTS).map(([name, { arguments: args = [] }]) => ({
      name,
      description: `The prompt ${name}`,
      arguments: [...args],
    })),
  }));
  server.setRequestHandler('prompts/get', ({ params: { name, arguments: given = {} } }) => {
    return PROMPTS[name]?.get(given) ?? unknown(`the prompt ${name}`);
  });
  return server;
}

/** What the template makes of its parameter. */
function made(uri: string): ReadResourceResult['contents'][number] {
  const [, id] = /^test:\/\/template\/(\w+)\/data$/.exec(uri) ?? [];
  if (id === undefined) return unknown(uri);
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { uri, mimeType: 'application/json', text: JSON.stringify(data) };
}

function unknown(what: string): never {
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is not ${what}`);
}

export interface Listening {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startConformanceServer(): Promise<Listening> {
  const handler = createMcpHandler(serve);
  return await forwarding((request) => {
    const { host } = new URL(`http://${request.headers.get('host') ?? ''}`);
    // The suite demands of a server of this machine that it answers to no other name.
    if (!/^(?:localhost|127\.0\.0\.1)(?::\d+)?$/.test(host))
      return Promise.resolve(new Response(null, { status: 403 }));
    return handler.fetch(request);
  });
}

/** Listens on a port of this machine, and answers as the function does. */
async function forwarding(answer: (request: Request) => Promise<Response>): Promise<Listening> {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = 'GET', url = '/' } = request;
      const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const body = method === 'POST' ? { body: Buffer.concat(chunks) } : {};
      const answered = await answer(new Request(new URL(url, 'http://127.0.0.1'), { method, headers, ...body }));
      response.writeHead(answered.status, Object.fromEntries(answered.headers));
      if (answered.body === null) response.end();
      else Readable.fromWeb(answered.body as never).pipe(response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
