/** Helpers for the tests of the `http` tool: a tool on a payment service, and a server on the level of bytes. */
import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { digest, type Json, type JsonObject } from '../../src/action/json.js';
import { http, type HttpInput, type HttpOptions } from '../../src/tools/index.js';
import type { Execution, ExecuteContext, Tool } from '../../src/tools/tool.js';
import { never } from './conformance.js';
import { OPERATIONS, openPayments, type Payments } from './http-payments.js';

export const FIXTURES = new URL('fixtures/tls/', import.meta.url).pathname;

export function toolOn(baseUrl: string, options: Partial<HttpOptions> = {}): Tool<HttpInput> {
  return http({
    name: 'payments',
    environment: 'test',
    baseUrl,
    operations: OPERATIONS,
    allow: { loopback: true },
    limits: { totalMs: 15_000 },
    ...options,
  });
}

export interface Desk {
  readonly payments: Payments;
  tool(options?: Partial<HttpOptions>): Tool<HttpInput>;
  stop(): Promise<void>;
}

export async function openDesk(): Promise<Desk> {
  const payments = await openPayments();
  const tools: Tool<HttpInput>[] = [];
  return {
    payments,
    tool(options) {
      const tool = toolOn(payments.url, options);
      tools.push(tool);
      return tool;
    },
    async stop() {
      await Promise.all(tools.map((tool) => tool.close()));
      await payments.stop();
    },
  };
}

/** Captures and executes, as the workflow does for an allowed action. */
export async function execute(
  tool: Tool<HttpInput>,
  raw: JsonObject,
  overrides: Partial<ExecuteContext> = {},
): Promise<Execution> {
  const input = tool.input.parse(raw);
  const pre = overrides.preDigest ?? digest(await tool.capture(input, {}, { signal: never() }));
  return await tool.execute(input, {
    idempotencyKey: randomUUID(),
    constraints: [],
    rows: 1,
    signal: never(),
    heartbeat: () => {},
    ...overrides,
    preDigest: pre,
  });
}

export interface RawServer {
  readonly url: string;
  readonly connections: number;
  stop(): Promise<void>;
}

/** Passes every connection to `serve`, with the first chunk that the client wrote. */
export async function rawServer(serve: (socket: Socket, request: string) => void): Promise<RawServer> {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    socket.once('data', (data) => serve(socket, data.toString('latin1')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = await rawServer(() => {});
  await server.stop();
  return Number(new URL(server.url).port);
}

/** One operation whose probe always returns the same, and whose effect fails as `serve` decides. */
export const PAY: HttpOptions['operations'] = {
  pay: {
    method: 'POST',
    url: '/pay',
    input: { body: { type: 'object' } },
    probes: { balance: { get: '/balance' } },
    ensures: ['post.balance.amount == 0'],
    changes: ['/balance/amount'],
  },
  look: { method: 'GET', url: '/look' },
};

export const answer = (body: string, headers = 'content-type: application/json'): string =>
  `HTTP/1.1 200 OK\r\n${headers}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

export const BALANCE = answer('{"amount":1}');

export interface Served {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: JsonObject | null;
}

export interface Response {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export interface JsonService {
  readonly url: string;
  /** What came in, as `GET /orders?page=2`. */
  readonly seen: string[];
  stop(): Promise<void>;
}

/** A service that speaks JSON. `undefined` breaks the connection, and a missing status is 200. */
export async function jsonService(answerTo: (request: Served) => Response | undefined): Promise<JsonService> {
  const seen: string[] = [];
  const server = createHttpServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      const { method = '', url = '', headers } = request;
      seen.push(`${method} ${url}`);
      const body = text === '' ? null : (JSON.parse(text) as JsonObject);
      const found = answerTo({ method, url: new URL(url, 'http://service'), headers, body });
      if (found === undefined) return void request.socket.resetAndDestroy();
      response.writeHead(found.status ?? 200, { 'content-type': 'application/json', ...found.headers });
      response.end(found.body === undefined ? undefined : JSON.stringify(found.body));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
