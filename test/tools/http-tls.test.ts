import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureVersion } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpOptions, SecretRef, TlsOptions } from '../../src/tools/index.js';
import { expectCode } from './conformance.js';
import { execute, FIXTURES, PAY, toolOn } from './http-support.js';

const file = (name: string): SecretRef => `file:${FIXTURES}${name}`;
const pem = (name: string): string => readFileSync(`${FIXTURES}${name}`, 'utf8');

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface SecureOptions {
  readonly cert?: string;
  readonly mutual?: boolean;
  readonly maxVersion?: SecureVersion;
}

async function secureService({ cert = 'server', mutual = false, maxVersion = 'TLSv1.3' }: SecureOptions = {}) {
  const seen: string[] = [];
  const server: Server = createServer(
    {
      cert: pem(`${cert}.pem`),
      key: pem(`${cert}.key`),
      ca: pem('ca.pem'),
      maxVersion,
      ...(mutual ? { requestCert: true, rejectUnauthorized: true } : {}),
    },
    (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.setHeader('content-type', 'application/json').end('{"amount":0}');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    tool: (tls: TlsOptions, options: Partial<HttpOptions> = {}) => {
      // An identity that is not proved is no better a minute later.
      const brief = { limits: { totalMs: 15_000 }, sends: { max: 20, withinMs: 1_000 } };
      const tool = toolOn(`https://localhost:${port}`, { operations: PAY, tls, ...brief, ...options });
      closing.push(() => tool.close());
      return tool;
    },
  };
}

const CA = { ca: file('ca.pem') };
const CLIENT = { ...CA, cert: file('client.pem'), key: file('client.key') };
const INPUT = { op: 'pay', body: {} };

describe('the service proves its identity', () => {
  test('by a certificate of the authority that the config names', async () => {
    const { tool } = await secureService();
    expect((await execute(tool(CA), INPUT)).result).toMatchObject({ status: 200 });
  });

  test.each([
    ['an authority that is not named', 'server', {}],
    ['a certificate that has expired', 'expired', CA],
    ['a certificate for another purpose and name', 'client', CA],
  ] as const)('not by %s: nothing is sent', async (_name, cert, tls) => {
    const { tool, seen } = await secureService({ cert });
    await expectCode(execute(tool(tls), INPUT, { preDigest: 'sha256:0' }), 'TOOL_UNAVAILABLE');
    expect(seen).toEqual([]);
  });
});

describe('the tool proves its identity', () => {
  test('by its client certificate', async () => {
    const { tool, seen } = await secureService({ mutual: true });
    expect((await execute(tool(CLIENT), INPUT)).result).toMatchObject({ status: 200 });
    expect(seen).toEqual(['GET /balance', 'GET /balance', 'POST /pay']);
  });

  const wrong = { ...CA, cert: file('stranger.pem'), key: file('stranger.key') };
  test.each([
    ["another authority's certificate, TLS 1.2", wrong, 'TLSv1.2'],
    ["another authority's certificate, TLS 1.3", wrong, 'TLSv1.3'],
    ['no certificate, TLS 1.2', CA, 'TLSv1.2'],
    ['no certificate, TLS 1.3', CA, 'TLSv1.3'],
  ] as const)(
    'not by %s: the probe before the effect finds out, and nothing is sent',
    async (_name, tls, maxVersion) => {
      const { tool, seen } = await secureService({ mutual: true, maxVersion });
      await expectCode(execute(tool(tls), INPUT, { preDigest: 'sha256:0' }), 'TOOL_UNAVAILABLE');
      expect(seen).toEqual([]);
    },
  );

  test('a certificate without its key is refused as config', async () => {
    expect(() => toolOn('https://localhost', { tls: { cert: file('client.pem') } })).toThrow(/cert and key/);
  });

  test('the private key is in no error', async () => {
    const { tool } = await secureService({ mutual: true });
    const mixed = tool({ ...CA, cert: file('client.pem'), key: file('stranger.key') });
    const error = await expectCode(execute(mixed, INPUT, { preDigest: 'sha256:0' }), 'TOOL_UNAVAILABLE');
    expect(error.message).toMatch(/key values mismatch|KEY_VALUES_MISMATCH/i);
    expect(error.message).not.toContain(pem('stranger.key').split('\n')[1]);
  });
});
