/** A codec server on this machine alone, for the Temporal CLI of whoever has the payload keys: behind a token that nobody else knows. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { PayloadCodec } from '@temporalio/common';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { newSecret, sameSecret } from '../auth/secrets.js';
import { statusOf } from '../middleware/problem.js';
import { codecRoutes } from './routes.js';

/** Temporal takes no larger message. Bytes. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export interface LocalCodecServer {
  readonly url: string;
  /** For `--codec-auth`. */
  readonly authorization: string;
  stop(): Promise<void>;
}

/** @param port 0 lets the system choose @throws CountersignError CONFIG_INVALID where something listens there */
export async function startLocalCodecServer(
  codec: PayloadCodec,
  { port, logger }: { readonly port: number; readonly logger: Logger },
): Promise<LocalCodecServer> {
  const authorization = `Bearer ${newSecret()}`;
  const app = new Hono();
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES }));
  app.onError((thrown, c) => {
    const error = asCountersignError(thrown);
    return c.json(error.toJSON(), statusOf(error.code));
  });
  const routes = codecRoutes({
    codec,
    origins: [],
    authorize: (c) => {
      if (sameSecret(c.req.header('authorization') ?? '', authorization)) return Promise.resolve('this machine');
      throw new CountersignError('UNAUTHENTICATED', 'The codec server needs its token.', {
        field: 'authorization',
        expected: 'what the command printed when it began',
        fix: 'Pass it to the Temporal CLI with --codec-auth.',
      });
    },
    record: (_c, { did, ...record }) => logger.info(record, `codec server: ${did}`),
  });
  app.route('/', routes);
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.listen({ host: '127.0.0.1', port });
  await once(server, 'listening').catch((cause: unknown) => {
    const fix = 'Choose another with --port.';
    throw new CountersignError('CONFIG_INVALID', `Port ${port} is in use.`, { field: '--port', fix, cause });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authorization,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
