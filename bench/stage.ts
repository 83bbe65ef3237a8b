/** What benchmarks of the whole product stand on: embedded servers, the starter bundle with something beside it, a worker. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import pino from 'pino';
import { startDevServers, type DevServers } from '../src/dev/index.js';
import type { TemporalSettings } from '../src/environment.js';
import { setUpTables } from '../src/gateway/store/set-up.js';
import { Database } from '../src/ledger/index.js';
import { postgres } from '../src/tools/index.js';
import type { Tool } from '../src/tools/tool.js';
import { generateKeyringFile, issueAgent, parseKeyring, type Credential, type Keyring } from '../src/trust/index.js';
import type { CountersignConfig } from '../src/config/config.js';
import { startWorker, type RunningWorker } from '../src/worker/worker.js';

const STARTER = fileURLToPath(new URL('../policies/starter', import.meta.url));

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export interface StageOptions {
  /** Whether the servers keep what they are told: Temporal in a file, and Postgres with every commit on the disk. */
  readonly durable: boolean;
}

/** Gives the work servers and a folder of its own, and takes them away again. */
export async function onStage(
  { durable }: StageOptions,
  work: (servers: DevServers, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-bench-'));
  try {
    const dataDir = path.join(folder, 'data');
    const servers = await startDevServers({ headless: true, log: say, ...(durable ? { dataDir } : {}) });
    try {
      await work(servers, folder);
    } finally {
      await servers.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A pool's end does not wait for its connections: the server's end may reach one before that, and is no error then. */
export function poolOf({ postgres: { url } }: DevServers, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  pool.on('error', () => {});
  return pool;
}

export interface GuardOptions extends Pick<CountersignConfig, 'approvalRateLimit'> {
  readonly temporal: TemporalSettings;
  /** Name and text of the file of policy. */
  readonly file: string;
  readonly text: string;
  /** Default: the database of the ledger, as `shop-db`. */
  readonly tools?: readonly Tool[];
}

export interface Guard {
  readonly worker: RunningWorker;
  readonly keyring: Keyring;
  /** The keyring as text, for other processes. */
  readonly keys: string;
}

/** A worker with one database as its tool, the ledger beside it, under the starter bundle and one more file of policy. */
export async function startGuard(
  { postgres: { url } }: DevServers,
  folder: string,
  {
    temporal,
    file,
    text,
    tools = [postgres({ name: 'shop-db', environment: 'production', url })],
    ...config
  }: GuardOptions,
): Promise<Guard> {
  const database = new Database({ url });
  await setUpTables(database);
  await database.close();
  const policies = path.join(folder, 'policies');
  await cp(STARTER, policies, { recursive: true });
  await writeFile(path.join(policies, file), text);
  const keys = JSON.stringify(await generateKeyringFile());
  const keyring = await parseKeyring(keys, 'bench');
  const worker = await startWorker({
    config: { ...config, policies, tools },
    temporal,
    ledgerUrl: url,
    keyring,
    logger: pino({ level: 'warn' }, pino.destination(2)),
  });
  return { worker, keyring, keys };
}

export function agent(keyring: Keyring, id: string, ...more: readonly string[]): Promise<Credential> {
  return issueAgent(keyring, { id, tenant: 'bench', roles: ['read_write_user', ...more], scopes: ['*'] });
}
