/** Serves a gateway's `/mcp` on stdin and stdout, for desktop clients that start their servers themselves. */
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Client,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type CallToolRequest,
} from '@modelcontextprotocol/client';
import { Server, type ServerContext } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { CountersignError } from '../action/errors.js';
import { isThisMachine } from '../http/addresses.js';

const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };

/** Longer than a gateway lets a call wait. Milliseconds. */
const CALL_MS = 120_000;

/** Before it listens again to a gateway that has ended the stream, and after each refusal twice as long. Milliseconds. */
const LISTEN_AGAIN = { first: 5_000, longest: 5 * 60_000 } as const;

export interface GatewayAccess {
  readonly url: string;
  /** An API key, or a token of one of the gateway's issuers. */
  readonly credential: string;
}

/** Returns once it serves; `close` ends it. @throws CountersignError CONFIG_INVALID, UNAUTHENTICATED */
export async function serveGatewayOnStdio(access: GatewayAccess): Promise<{ close(): Promise<void> }> {
  const gateway = await connected(access);
  const instructions = gateway.getInstructions();
  // One for the connection; where its client asks first what is spoken here, the one that was asked is left for another.
  let current: Server | undefined;
  const ended = new AbortController();
  const tell = (): void => void current?.sendToolListChanged().catch(() => undefined);
  void followTools(gateway, tell, ended.signal);
  const served = serveStdio(() => {
    const server = new Server(
      { name: 'countersign', version },
      {
        capabilities: { tools: { listChanged: true }, resources: {}, prompts: {} },
        ...(instructions === undefined ? {} : { instructions }),
      },
    );
    server.setRequestHandler('tools/list', async (_request, ctx) => {
      const { tools } = await gateway.listTools({}, { signal: ctx.mcpReq.signal, cacheMode: 'refresh' });
      return { tools };
    });
    server.setRequestHandler('tools/call', ({ params }, ctx) => forward(gateway, params, ctx));
    forwardResourcesAndPrompts(server, gateway);
    current = server;
    return server;
  });
  return {
    async close() {
      ended.abort();
      await served.close();
      await gateway.close();
    },
  };
}

function forwardResourcesAndPrompts(server: Server, gateway: Client): void {
  const asked = ({ mcpReq: { signal } }: ServerContext) =>
    ({ signal, timeout: CALL_MS, cacheMode: 'refresh' }) as const;
  server.setRequestHandler('resources/list', async (_request, ctx) => {
    const { resources } = await gateway.listResources({}, asked(ctx));
    return { resources };
  });
  server.setRequestHandler('resources/templates/list', async (_request, ctx) => {
    const { resourceTemplates } = await gateway.listResourceTemplates({}, asked(ctx));
    return { resourceTemplates };
  });
  server.setRequestHandler('resources/read', async ({ params: { uri } }, ctx) => {
    const { contents } = await gateway.readResource({ uri }, asked(ctx));
    return { contents };
  });
  server.setRequestHandler('prompts/list', async (_request, ctx) => {
    const { prompts } = await gateway.listPrompts({}, asked(ctx));
    return { prompts };
  });
  server.setRequestHandler('prompts/get', ({ params: { name, arguments: args } }, ctx) =>
    gateway.getPrompt({ name, ...(args === undefined ? {} : { arguments: args }) }, asked(ctx)),
  );
}

/** Tells whenever the gateway's tools have changed, or may have while nobody listened. */
async function followTools(gateway: Client, tell: () => void, ended: AbortSignal): Promise<void> {
  gateway.setNotificationHandler('notifications/tools/list_changed', tell);
  let pauseMs: number = LISTEN_AGAIN.first;
  for (let isFirst = true; !ended.aborted; isFirst = false) {
    try {
      const { closed, honoredFilter } = await gateway.listen({ toolsListChanged: true }, { signal: ended });
      if (honoredFilter.toolsListChanged !== true) return;
      if (!isFirst) tell();
      pauseMs = LISTEN_AGAIN.first;
      await closed;
    } catch {
      // The gateway is away for a moment, or has too many who listen: calls say so themselves.
      pauseMs = Math.min(pauseMs * 2, LISTEN_AGAIN.longest);
    }
    await delay(pauseMs, undefined, { signal: ended, ref: false }).catch(() => undefined);
  }
}

async function connected({ url, credential }: GatewayAccess): Promise<Client> {
  const client = new Client(
    { name: 'countersign mcp', version },
    { versionNegotiation: { mode: { pin: '2026-07-28' } }, inputRequired: { autoFulfill: false } },
  );
  const requestInit = { headers: { authorization: `Bearer ${credential}` } };
  try {
    await client.connect(new StreamableHTTPClientTransport(addressOf(url), { requestInit }));
    return client;
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    const refused = error instanceof SdkHttpError && (error.status === 401 || error.status === 403);
    throw refused
      ? new CountersignError('UNAUTHENTICATED', 'The gateway does not take this API key or token.', {
          field: 'COUNTERSIGN_API_KEY',
          expected: 'an API key made by `countersign api-key create`, or a token',
        })
      : new CountersignError('CONFIG_INVALID', `There is no gateway at ${url}.`, {
          field: 'COUNTERSIGN_GATEWAY_URL',
          expected: 'the address of a running gateway: https://countersign.example.com',
          cause: error,
        });
  }
}

/** @throws CountersignError CONFIG_INVALID */
function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname))) {
    return new URL(`${url.pathname.replace(/\/$/, '')}/mcp`, url);
  }
  throw new CountersignError('CONFIG_INVALID', 'The address of the gateway is none to send a key to.', {
    field: 'COUNTERSIGN_GATEWAY_URL',
    expected: 'a URL of https, or of http on this machine',
  });
}

/** The call as it came: its cancellation and its progress too. */
async function forward(gateway: Client, params: CallToolRequest['params'], ctx: ServerContext) {
  const { progressToken, ...meta } = ctx.mcpReq._meta ?? {};
  return await gateway.callTool(
    { ...params, _meta: meta },
    {
      signal: ctx.mcpReq.signal,
      timeout: CALL_MS,
      ...(progressToken === undefined
        ? {}
        : {
            onprogress: (progress) => {
              const notification = { ...progress, progressToken };
              void ctx.mcpReq.notify({ method: 'notifications/progress', params: notification }).catch(() => undefined);
            },
          }),
    },
  );
}
