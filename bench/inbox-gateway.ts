/** A gateway in a process of its own, as `bench -- inbox` runs several of. */
import { once } from 'node:events';
import pino from 'pino';
import { startGateway } from '../src/gateway/server/server.js';
import { parseKeyring } from '../src/trust/index.js';
import type { GatewayOrder } from './inbox.js';

const [order] = (await once(process, 'message')) as [GatewayOrder];
const gateway = await startGateway({
  config: { gateway: { port: 0, limits: { requestsPerMinute: 1_000_000 } } },
  temporal: order.temporal,
  ledgerUrl: order.ledgerUrl,
  keyring: await parseKeyring(order.keys, 'bench'),
  logger: pino({ level: 'fatal' }),
  devPeople: order.people,
});
process.send?.({ url: gateway.url });
await once(process, 'disconnect');
await gateway.stop();
