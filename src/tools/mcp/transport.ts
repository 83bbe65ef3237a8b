/** How the server is reached: a process of the worker's, or guarded HTTP requests whose answers are bounded. */
import { StreamableHTTPClientTransport, type FetchLike, type Transport } from '@modelcontextprotocol/client';
import { getDefaultEnvironment, StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Agent, fetch as undiciFetch } from 'undici';
import { configInvalid } from '../../action/errors-config.js';
import { addressGuard, isThisMachine } from '../../http/addresses.js';
import { guardedConnector } from '../../http/connector.js';
import type { Secrets } from '../../http/secrets.js';
import { traceHeaders } from '../../telemetry/tracing.js';
import { checkHeaders, resolveHeaders } from '../http/headers.js';
import type { HttpServer, McpLimits, McpOptions, StdioServer } from './options.js';

/** Makes connections to one server. */
export interface Transports {
  open(): Promise<Transport>;
  close(): Promise<void>;
}

const SOURCE = "the tool's config";

/** @throws CountersignError CONFIG_INVALID */
export function transportsOf({ server }: McpOptions, limits: Required<McpLimits>, secrets: Secrets): Transports {
  return 'command' in server ? processes(server, limits, secrets) : requests(server, limits, secrets);
}

function processes(server: StdioServer, { messageBytes }: Required<McpLimits>, secrets: Secrets): Transports {
  const { command, args = [], env = {}, cwd } = server;
  if (typeof command !== 'string' || command === '') throw configInvalid('server.command', 'a program', SOURCE);
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== 'string') secrets.check(value.secret, `server.env.${name}`);
  }
  return {
    async open() {
      const own: Record<string, string> = {};
      for (const [name, value] of Object.entries(env)) {
        own[name] = typeof value === 'string' ? value : await secrets.read(value.secret);
      }
      return new StdioClientTransport({
        command,
        args: [...args],
        env: { ...getDefaultEnvironment(), ...own },
        // What a server writes there may hold secrets, and nobody reads it.
        stderr: 'ignore',
        maxBufferSize: messageBytes,
        ...(cwd === undefined ? {} : { cwd }),
      });
    },
    async close() {},
  };
}

function requests(server: HttpServer, limits: Required<McpLimits>, secrets: Secrets): Transports {
  const { headers = {}, allow = {}, lookup } = server;
  const url = URL.canParse(server.url) ? new URL(server.url) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw configInvalid('server.url', 'a URL without credentials and fragment', SOURCE);
  }
  const plainIsSafe = allow.plainHttp === true || (allow.loopback === true && isThisMachine(url.hostname));
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && plainIsSafe)) {
    throw configInvalid('server.url', 'a URL of https (or http, to loopback or with allow.plainHttp)', SOURCE);
  }
  checkHeaders(headers, 'server.headers', secrets);
  const connect = guardedConnector({ isAllowed: addressGuard(allow), connectMs: limits.connectMs, lookup, secrets });
  const agent = new Agent({ connect, bodyTimeout: 0, headersTimeout: limits.callMs, pipelining: 0 });
  const guarded: FetchLike = async (target, init) => {
    const resolved = await resolveHeaders(headers, secrets);
    const own = Object.fromEntries(new Headers(init?.headers));
    const sent = { ...traceHeaders(), ...own, ...resolved, 'accept-encoding': 'identity' };
    const request = { ...init, headers: sent, dispatcher: agent } as Parameters<typeof undiciFetch>[1];
    const answer = (await undiciFetch(target, request)) as unknown as Response;
    return boundedResponse(answer, limits.messageBytes);
  };
  return { open: async () => new StreamableHTTPClientTransport(url, { fetch: guarded }), close: () => agent.destroy() };
}

/** The same answer, whose body fails once it is larger than a message may be. */
function boundedResponse(answer: Response, bytes: number): Response {
  if (answer.body === null) return answer;
  let seen = 0;
  const counted = answer.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        seen += chunk.byteLength;
        if (seen > bytes) controller.error(new Error(`the answer is larger than ${bytes} bytes`));
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Response(counted, { status: answer.status, statusText: answer.statusText, headers: answer.headers });
}
