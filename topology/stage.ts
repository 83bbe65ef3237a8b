/** Everything that the scenes play on: servers, databases, keys, two workers, two gateways, agents with API keys, a person. */
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { chown, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { Countersign as Agent } from '../clients/typescript/src/index.js';
import { Shop } from '../examples/demo/shop.js';
import { Countersign } from '../src/client/countersign.js';
import { onShutdown, startPostgres, type PostgresServer } from '../src/dev/index.js';
import { temporaryFolder } from '../src/dev/temporary-folder.js';
import { ApiKeys } from '../src/gateway/store/api-keys.js';
import { Database, Ledger } from '../src/ledger/index.js';
import { verifyReceipts } from '../src/receipts/verify.js';
import type { ServerProcess } from '../src/dev/child.js';
import { createKeyFile, issueApprover, readKeyFile, signApproval } from '../src/trust/index.js';
import {
  moveLedger,
  setUp,
  startGateway,
  startWorker,
  writeSecrets,
  type GatewayProcess,
  type Place,
} from './processes.js';
import { startProductionTemporal } from './temporal-server.js';

const run = promisify(execFile);

const TENANT = 'shop';

export interface Stage {
  readonly shop: Shop;
  readonly workers: ServerProcess[];
  readonly gateways: GatewayProcess[];
  /** An agent of that role, through the gateway at that place in the list. */
  agent(role: string, gateway: number): Promise<Agent>;
  /** The dba signs what is shown of an action now. */
  approve(actionId: string): Promise<void>;
  replaceWorker(at: number, how: 'stop' | 'kill'): Promise<void>;
  replaceGateway(at: number, how: 'stop' | 'kill'): Promise<void>;
  /** A copy of the running ledger's files, by Postgres' low-level backup. @returns the folder of the copy */
  backUpLedger(): Promise<string>;
  /** Stops workers, gateways and the ledger, and starts all of them on the copy. */
  restoreLedger(copy: string): Promise<void>;
  verifyReceipts(): Promise<{ readonly ok: boolean; readonly receipts: number }>;
}

export async function setStage(log: (message: string) => void): Promise<Stage> {
  const folder = await temporaryFolder('topology');
  onShutdown('the temporary folder', () => folder.remove());
  const start = async (name: string): Promise<PostgresServer> => {
    const server = await startPostgres({
      env: {},
      dataDir: path.join(folder.path, name),
      settings: { max_connections: '200' },
      ...(name === 'temporal-db' ? {} : { database: 'countersign' }),
    });
    onShutdown(name, () => server.stop());
    return server;
  };
  log('starting two Postgres servers, for Temporal and for the ledger, and one for the shop');
  const [temporalDb, firstLedger, shopDb] = await Promise.all([start('temporal-db'), start('ledger'), start('shop')]);
  let ledgerServer = firstLedger;
  const temporal = await startProductionTemporal(temporalDb.url, folder.path, log);
  onShutdown('Temporal', () => temporal.stop());

  const shop = await Shop.open(shopDb.url, randomBytes(16).toString('hex'));
  onShutdown('the connection to the shop', () => shop.close());
  const keysFile = path.join(folder.path, 'keys.json');
  await createKeyFile(keysFile);
  const keyring = await readKeyFile(keysFile, { production: true });
  const dba = await issueApprover(keyring, { id: 'dora', tenant: TENANT, roles: ['dba'] });
  const place: Place = { folder: folder.path, temporal, shopUrl: shop.workerUrl };
  await writeSecrets(place, keysFile, ledgerServer.url);
  log('countersign setup, two workers, two gateways');
  await setUp(place);
  const workers = await Promise.all([startWorker(place), startWorker(place)]);
  const gateways = await Promise.all([startGateway(place), startGateway(place)]);
  onShutdown('workers and gateways', async () => {
    await Promise.all([...workers, ...gateways].map((running) => running.stop()));
  });
  const person = await Countersign.connect({ ...temporal, credential: null });
  onShutdown('the connection to Temporal', () => person.close());

  const tokens = new Map<string, string>();
  const tokenOf = async (role: string): Promise<string> => {
    const known = tokens.get(role);
    if (known !== undefined) return known;
    const database = new Database({ url: ledgerServer.url, poolSize: 1 });
    try {
      const made = await new ApiKeys(database).create({
        agent: role.replaceAll('_', '-'),
        tenant: TENANT,
        roles: [role],
        scopes: ['shop-db'],
        ttlSeconds: 86_400,
      });
      tokens.set(role, made.text);
      return made.text;
    } finally {
      await database.close();
    }
  };
  const gatewayAt = (at: number): GatewayProcess => {
    const found = gateways[at % gateways.length];
    if (found === undefined) throw new Error('there is no gateway');
    return found;
  };

  return {
    shop,
    workers,
    gateways,
    agent: async (role, gateway) => new Agent({ url: gatewayAt(gateway).url, token: await tokenOf(role), retries: 2 }),
    async approve(actionId) {
      const { pending } = await person.view(actionId, TENANT);
      if (pending === undefined) throw new Error(`${actionId} does not wait for people`);
      const said = { tenant: TENANT, actionId, shownDigest: pending.shownDigest, verdict: 'approve' } as const;
      await person.decide(actionId, await signApproval(dba, said), TENANT);
    },
    async replaceWorker(at, how) {
      await workers[at]?.[how]();
      workers[at] = await startWorker(place);
    },
    async replaceGateway(at, how) {
      const port = Number(new URL(gatewayAt(at).url).port);
      await gatewayAt(at)[how]();
      gateways[at] = await startGateway(place, port);
    },
    async backUpLedger() {
      const copy = path.join(folder.path, `ledger-copy-${Date.now()}`);
      const client = new pg.Client({ connectionString: ledgerServer.url });
      await client.connect();
      try {
        await client.query(`SELECT pg_backup_start('topology', fast => true)`);
        // With its owner, which is the server's own user.
        await run('cp', ['-a', path.join(folder.path, 'ledger'), copy]);
        await rm(path.join(copy, 'data/postmaster.pid'), { force: true });
        const { rows } = await client.query<{ labelfile: string }>(
          'SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)',
        );
        const label = path.join(copy, 'data/backup_label');
        await writeFile(label, rows[0]?.labelfile ?? '');
        const { uid, gid } = await stat(path.join(copy, 'data/PG_VERSION'));
        await chown(label, uid, gid);
        // What was written while it was copied.
        await run('cp', ['-a', `${path.join(folder.path, 'ledger/data/pg_wal')}/.`, path.join(copy, 'data/pg_wal')]);
      } finally {
        await client.end();
      }
      return copy;
    },
    async restoreLedger(copy) {
      await Promise.all([...workers, ...gateways].map((running) => running.stop()));
      await ledgerServer.stop();
      ledgerServer = await startPostgres({
        env: {},
        dataDir: copy,
        database: 'countersign',
        settings: { max_connections: '200' },
      });
      const restored = ledgerServer;
      onShutdown('the restored ledger', () => restored.stop());
      await moveLedger(folder.path, restored.url);
      await setUp(place);
      const ports = gateways.map(({ url }) => Number(new URL(url).port));
      workers.splice(0, workers.length, ...(await Promise.all(workers.map(() => startWorker(place)))));
      gateways.splice(0, gateways.length, ...(await Promise.all(ports.map((port) => startGateway(place, port)))));
    },
    async verifyReceipts() {
      const ledger = await Ledger.connect({ url: ledgerServer.url, poolSize: 2 });
      try {
        const { ok, tenants } = await verifyReceipts({ ledger, keyring, temporal: person.temporal });
        return { ok, receipts: tenants.reduce((sum, { receipts }) => sum + receipts, 0) };
      } finally {
        await ledger.close();
      }
    },
  };
}
