/** A service on loopback that takes every request, answers `{}`, and shows what it received. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { HttpInput, HttpOptions } from '../../src/tools/index.js';
import type { Tool } from '../../src/tools/tool.js';
import { toolOn } from './http-support.js';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

export interface Receiver {
  readonly url: string;
  /** The requests of the running test. */
  readonly received: readonly Received[];
  /** A tool on the service, which is closed with it. */
  tool(options: Partial<HttpOptions>): Tool<HttpInput>;
}

/** Starts the service for the file of tests that calls this, and ends it after them. */
export function receiver(): Receiver {
  const received: Received[] = [];
  const tools: Tool<HttpInput>[] = [];
  let url = '';
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = '', headers } = request;
      received.push({ method, url: request.url ?? '', headers, bytes: Buffer.concat(chunks) });
      response.setHeader('content-type', 'application/json').end('{}');
    })();
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    received.length = 0;
  });
  afterAll(async () => {
    await Promise.all(tools.map((tool) => tool.close()));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    get url() {
      return url;
    },
    received,
    tool(options) {
      const tool = toolOn(url, options);
      tools.push(tool);
      return tool;
    },
  };
}
