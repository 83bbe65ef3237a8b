/** The production Temporal server on Postgres, without Docker: built once with Go into the cache, and started as docker-compose.yml starts its image. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { msToTs } from '@temporalio/common/lib/time.js';
import { openConnection } from '../src/client/connection.js';
import { startProcess, type ServerProcess } from '../src/dev/child.js';
import { cacheFolder } from '../src/dev/temporal-binary.js';
import { freePort, isFree } from '../src/dev/free-port.js';

const run = promisify(execFile);

/** That of the images in docker-compose.yml; a test compares them. */
export const SERVER_VERSION = '1.32.0';

/** What Go builds, and what we call it. */
const PROGRAMS = {
  server: 'go.temporal.io/server/cmd/server',
  schema: 'go.temporal.io/server/cmd/tools/sql',
} as const;

/** The file of one of the programs; it is built when it is not in the cache, which takes minutes, once. */
async function program(name: keyof typeof PROGRAMS, log: (message: string) => void): Promise<string> {
  const target = path.join(cacheFolder(process.env), 'bin', `temporal-${name}-${SERVER_VERSION}`);
  if (
    await access(target).then(
      () => true,
      () => false,
    )
  )
    return target;
  log(`building ${PROGRAMS[name]}@v${SERVER_VERSION} with Go (minutes, once)`);
  await mkdir(path.dirname(target), { recursive: true });
  const folder = await mkdtemp(`${target}-making-`);
  try {
    await run('go', ['install', `${PROGRAMS[name]}@v${SERVER_VERSION}`], {
      env: { ...process.env, GOBIN: folder },
      maxBuffer: 64 * 1024 * 1024,
    });
    await rename(path.join(folder, path.basename(PROGRAMS[name])), target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return target;
}

export interface ProductionTemporal {
  readonly address: string;
  readonly namespace: string;
  stop(): Promise<void>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again after one of these, on the same tables and ports. */
  startAgain(): Promise<void>;
}

/** Makes the two databases on the Postgres of `url`, starts the server on them, and registers a namespace. Ports are any free ones. */
export async function startProductionTemporal(
  url: string,
  folder: string,
  log: (message: string) => void,
): Promise<ProductionTemporal> {
  const server = await program('server', log);
  log('making the tables of Temporal on a Postgres of its own');
  await makeTables(new URL(url), await program('schema', log));
  const environment = await environmentFor(new URL(url), folder);
  const address = `127.0.0.1:${environment['FRONTEND_GRPC_PORT']}`;
  const namespace = 'default';
  const start = async (): Promise<ServerProcess> => {
    const started = startProcess({
      command: server,
      args: ['start'],
      env: environment,
      signal: 'SIGTERM',
      graceMs: 10_000,
    });
    try {
      await registered(address, namespace, started);
      return started;
    } catch (error) {
      await started.kill();
      throw error;
    }
  };
  let running = await start();
  return {
    address,
    namespace,
    stop: () => running.stop(),
    kill: () => running.kill(),
    async startAgain() {
      running = await start();
    },
  };
}

async function makeTables({ hostname, port, username, password }: URL, schema: string): Promise<void> {
  const server = ['--plugin', 'postgres12', '--ep', hostname, '-p', port, '-u', username, '--pw', password];
  for (const part of ['temporal', 'visibility']) {
    const database = part === 'temporal' ? 'temporal' : 'temporal_visibility';
    const tool = (...args: readonly string[]) => run(schema, [...server, '--db', database, ...args]);
    await tool('create-database');
    await tool('setup-schema', '-v', '0.0');
    await tool('update-schema', '--schema-name', `postgresql/v12/${part}`);
  }
}

async function environmentFor({ hostname, port, username, password }: URL, folder: string): Promise<NodeJS.ProcessEnv> {
  const dynamic = path.join(folder, 'temporal-dynamic-config.yaml');
  await writeFile(
    dynamic,
    ['transferProcessorMaxPollRPS', 'timerProcessorMaxPollRPS']
      .map((name) => `history.${name}:\n  - value: 2000\n`)
      .join(''),
  );
  const ports: Record<string, string> = {};
  for (const name of ['FRONTEND', 'HISTORY', 'MATCHING', 'WORKER']) {
    ports[`${name}_GRPC_PORT`] = String(await smallPort(ports));
    ports[`${name}_MEMBERSHIP_PORT`] = String(await smallPort(ports));
  }
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    DB: 'postgres12',
    DB_PORT: port,
    POSTGRES_SEEDS: hostname,
    POSTGRES_USER: username,
    POSTGRES_PWD: password,
    BIND_ON_IP: '127.0.0.1',
    LOG_LEVEL: 'warn',
    TEMPORAL_ALLOW_NO_AUTH: 'true',
    DYNAMIC_CONFIG_FILE_PATH: dynamic,
    FRONTEND_HTTP_PORT: String(await freePort()),
    ...ports,
  };
}

/** The members' ports are kept in a smallint; those that systems give to whoever asks for any are larger. */
async function smallPort(taken: Readonly<Record<string, string>>): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000);
    if (!Object.values(taken).includes(String(port)) && (await isFree(port))) return port;
  }
}

const START_MS = 120_000;

/** Registers the namespace once the frontend answers, and returns when it can be used. */
async function registered(address: string, namespace: string, server: ServerProcess): Promise<void> {
  for (const deadline = Date.now() + START_MS; ; await delay(250)) {
    if (server.hasEnded()) throw new Error(`The Temporal server has ended:\n${server.output().slice(-2_000)}`);
    try {
      const { connection, close } = await openConnection(address, 2_000);
      try {
        await connection.workflowService
          .registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('30 days') })
          .catch((error: Error) => {
            if (!/already exists/i.test(error.message)) throw error;
          });
        await connection.workflowService.countWorkflowExecutions({ namespace, query: '' });
        return;
      } finally {
        await close();
      }
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`Temporal does not answer:\n${server.output()}`, { cause: error });
    }
  }
}
