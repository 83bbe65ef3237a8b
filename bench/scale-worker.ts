/** A worker in a process of its own, as `bench -- scale` runs several of. */
import { once } from 'node:events';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import pino from 'pino';
import { parseKeyring } from '../src/trust/index.js';
import { postgres } from '../src/tools/index.js';
import { startWorker } from '../src/worker/worker.js';
import type { WorkerOrder } from './scale.js';

Runtime.install({
  logger: new DefaultLogger('ERROR', () => {}),
  telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
});

const [order] = (await once(process, 'message')) as [WorkerOrder];
const worker = await startWorker({
  config: {
    policies: order.policies,
    tools: [postgres({ name: 'shop-db', environment: 'production', url: order.databaseUrl, maxConnections: 12 })],
  },
  temporal: order.temporal,
  ledgerUrl: order.databaseUrl,
  keyring: await parseKeyring(order.keys, 'bench'),
  logger: pino({ level: 'fatal' }),
  reconcileEveryMs: 0,
});
process.send?.('ready');
await once(process, 'disconnect');
await worker.stop();
process.exit();
