/** Temporal behind TLS, as Temporal Cloud is: a proxy that asks for a client certificate and an API key before it passes a call on. */
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { startGrpcProxy } from './grpc-proxy.js';
import { ROOT } from './root.js';

const FIXTURES = path.join(ROOT, 'test/tools/fixtures/tls');

export const tlsFile = (name: string): string => path.join(FIXTURES, name);

export interface SecureTemporal {
  /** `localhost:port` */
  readonly address: string;
  /** The gRPC clients whose calls were passed on: the workers' is another than everybody else's. */
  readonly passed: Set<string>;
  close(): Promise<void>;
}

/** `target` is `host:port` of the server without TLS; `apiKey` what calls must carry. */
export async function secureTemporal(target: string, apiKey: string): Promise<SecureTemporal> {
  const passed = new Set<string>();
  const server = createSecureServer({
    cert: readFileSync(tlsFile('server.pem')),
    key: readFileSync(tlsFile('server.key')),
    ca: readFileSync(tlsFile('ca.pem')),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const proxy = await startGrpcProxy(server, target, (headers) => {
    if (headers.authorization !== `Bearer ${apiKey}`) return { status: status.UNAUTHENTICATED, message: 'no key' };
    passed.add(/^[\w-]+/.exec(headers['user-agent'] ?? '')?.[0] ?? '');
    return undefined;
  });
  return { address: `localhost:${proxy.port}`, passed, close: () => proxy.close() };
}
