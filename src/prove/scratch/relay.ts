/** Stands between a tool and its sandbox, on this machine: counts what could have had an effect there, and lets nothing through to elsewhere. */
import { createServer, request as plainRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { digest } from '../../action/json.js';

export interface Relay {
  readonly url: string;
  /** Requests that ask for a change and got a 2xx. */
  effects(): number;
  /** The same, where a request that was sent again exactly as it was, with its key, counts once. */
  distinctEffects(): number;
  close(): Promise<void>;
}

/** @param changing names of MCP tools that change something */
export async function startRelay(sandbox: string, changing: ReadonlySet<string>): Promise<Relay> {
  const target = new URL(sandbox);
  let effects = 0;
  const distinct = new Set<string>();
  const server = createServer((incoming, outgoing) => {
    relayed(incoming, outgoing, target, (body) => {
      if (!asksForChange(incoming.method ?? 'GET', body, changing)) return;
      effects++;
      distinct.add(textOf(incoming, body));
    }).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${target.pathname.replace(/\/$/, '')}${target.search}`,
    effects: () => effects,
    distinctEffects: () => distinct.size,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function relayed(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  target: URL,
  succeeded: (body: Buffer) => void,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const send = target.protocol === 'https:' ? tlsRequest : plainRequest;
  // The path alone is taken from the request: wherever that says it leads, it goes to the sandbox.
  const onward = send(target.origin, {
    path: incoming.url ?? '/',
    method: incoming.method ?? 'GET',
    headers: { ...incoming.headers, host: target.host },
  });
  // An MCP server would go on sending events to nobody.
  outgoing.once('close', () => onward.destroy());
  onward.end(body);
  const [answer] = (await once(onward, 'response')) as [IncomingMessage];
  const { statusCode = 502, headers } = answer;
  if (statusCode >= 200 && statusCode < 300) succeeded(body);
  outgoing.writeHead(statusCode, headers);
  answer.pipe(outgoing);
}

/** What differs from one sending to the next although it is the same. */
const OF_THE_SENDING = new Set(['traceparent', 'tracestate', 'connection', 'date', 'host']);

function textOf({ method, url, headers }: IncomingMessage, body: Buffer): string {
  const kept = Object.entries(headers).filter(([name]) => !OF_THE_SENDING.has(name));
  return digest([method ?? '', url ?? '', kept.map(([name, value]) => [name, String(value)]), body.toString('base64')]);
}

function asksForChange(method: string, body: Buffer, changing: ReadonlySet<string>): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return false;
  const call = jsonOf(body) as { method?: unknown; jsonrpc?: unknown; params?: { name?: unknown } } | undefined;
  if (call?.jsonrpc === undefined) return true;
  return call.method === 'tools/call' && changing.has(String(call.params?.name));
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
