/** A proxy before a Temporal server, which passes calls on as they are, or answers them itself. */
import { once } from 'node:events';
import {
  connect,
  constants,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface GrpcProxy {
  readonly port: number;
  close(): Promise<void>;
}

/** A status of gRPC, and what is said with it. */
export interface GrpcAnswer {
  readonly status: number;
  readonly message: string;
}

/**
 * @param target `host:port` of the server without TLS
 * @param answer what a call with these headers is answered; undefined passes it on
 */
export async function startGrpcProxy(
  server: Http2Server | Http2SecureServer,
  target: string,
  answer: (headers: IncomingHttpHeaders) => GrpcAnswer | undefined,
): Promise<GrpcProxy> {
  const upstream = connect(`http://${target}`);
  upstream.on('error', () => {});
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    const own = answer(headers);
    if (own === undefined) passOn(stream, headers);
    else stream.respond(trailersOnly(own), { endStream: true });
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
    port,
    async close() {
      for (const session of sessions) session.destroy();
      upstream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function trailersOnly({ status, message }: GrpcAnswer): Record<string, string | number> {
  return { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status, 'grpc-message': message };
}
