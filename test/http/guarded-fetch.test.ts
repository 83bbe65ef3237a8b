/** The fetch that libraries are given: it reaches allowed addresses alone, follows nothing and reads no more than it may. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { guardedFetch } from '../../src/http/guarded-fetch.js';

async function served(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const LIMITS = { timeoutMs: 20_000, maxBytes: 100 };

test('an answer comes whole, with its status and headers', async () => {
  const url = await served((request, response) => {
    response.setHeader('x-method', String(request.method)).writeHead(201).end('{"keys":[]}');
  });
  const response = await guardedFetch({ allow: { loopback: true }, ...LIMITS })(url, { method: 'POST', body: '{}' });
  expect([response.status, response.headers.get('x-method'), await response.json()]).toEqual([
    201,
    'POST',
    { keys: [] },
  ]);
});

test('a server in a network that is not allowed is not reached', async () => {
  let reached = false;
  const url = await served((_request, response) => {
    reached = true;
    response.end();
  });
  await expect(guardedFetch({ allow: {}, ...LIMITS })(url)).rejects.toMatchObject({
    name: 'WireFailure',
    code: 'FORBIDDEN_ADDRESS',
    sent: false,
  });
  expect(reached).toBe(false);
});

test('a redirection is an answer and is not followed', async () => {
  const url = await served((_request, response) => {
    response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
  });
  expect((await guardedFetch({ allow: { loopback: true }, ...LIMITS })(url)).status).toBe(302);
});

test('an answer that is too large is refused', async () => {
  const url = await served((_request, response) => void response.end('x'.repeat(101)));
  await expect(guardedFetch({ allow: { loopback: true }, ...LIMITS })(url)).rejects.toMatchObject({
    code: 'BODY_TOO_LARGE',
  });
});
