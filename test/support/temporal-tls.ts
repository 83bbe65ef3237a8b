/** Temporal behind TLS, as Temporal Cloud is: a proxy that asks for a client certificate and an API key before it passes a call on. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, constants, createSecureServer, type ServerHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
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

/** gRPC's status codes for callers who prove nothing. */
const UNAUTHENTICATED = '16';

/** `target` is `host:port` of the server without TLS; `apiKey` what calls must carry. */
export async function secureTemporal(target: string, apiKey: string): Promise<SecureTemporal> {
  const passed = new Set<string>();
  const upstream = connect(`http://${target}`);
  upstream.on('error', () => {});
  const server = createSecureServer({
    cert: readFileSync(tlsFile('server.pem')),
    key: readFileSync(tlsFile('server.key')),
    ca: readFileSync(tlsFile('ca.pem')),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers.authorization !== `Bearer ${apiKey}`) {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': UNAUTHENTICATED,
          'grpc-message': 'no key',
        },
        { endStream: true },
      );
      return;
    }
    passed.add(/^[\w-]+/.exec(headers['user-agent'] ?? '')?.[0] ?? '');
    passOn(stream, headers);
  });

  function passOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const call = upstream.request(headers);
    let trailers: IncomingHttpHeaders | undefined;
    call.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
    call.on('trailers', (received) => (trailers = received));
    call.on('response', (received, flags) => {
      if (stream.destroyed) return;
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(received, endStream ? { endStream } : { waitForTrailers: true });
      if (endStream) return;
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      call.pipe(stream);
    });
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    stream.pipe(call);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `localhost:${port}`,
    passed,
    async close() {
      for (const session of sessions) session.destroy();
      upstream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
