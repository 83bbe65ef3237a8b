/** A real Postgres 18 for development and tests, or the one that DATABASE_URL names. */
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { CountersignError } from '../action/errors.js';
import { startProcess, type ServerProcess } from './child.js';
import { freePort, LOOPBACK, portInUse } from './free-port.js';
import { postgresBinaries, postgresUser, type PostgresBinaries, type RunAs } from './postgres-binaries.js';
import { lastLine, openData, unusable, USER, type DataFolder } from './postgres-data.js';
import { temporaryFolder } from './temporary-folder.js';

/** How long a start may take, milliseconds. Recovery after a crash and a busy machine are in it. */
const START_MS = 60_000;
/** A free port may be taken before Postgres binds it. */
const PORT_ATTEMPTS = 5;
/** How often a start is tried while children of a killed server are still there. */
const CHILDREN_ATTEMPTS = 50;

export interface DevPostgresOptions {
  /** Keeps the data in this folder between runs. Without it they are in a temporary folder, removed on stop. */
  readonly dataDir?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** A database to create when it is not there. Default `postgres`. */
  readonly database?: string;
  /** Whether a commit reaches the disk (fsync). Default: only with `dataDir`. */
  readonly durable?: boolean;
  /** More server settings, such as `{max_connections: '200'}`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where DATABASE_URL is looked up. Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Every line that the server writes. */
  readonly output?: (line: string) => void;
}

export interface PostgresServer {
  /** With the password: never log it. */
  readonly url: string;
  /** Whether the server is somebody else's (DATABASE_URL): then `stop` and `kill` leave it alone. */
  readonly external: boolean;
  /** The server's own process, when it is ours. */
  readonly pid: number | undefined;
  /** Resolves when our server's process has ended, with why, in words; never for an external one. */
  readonly ended: Promise<string>;
  /** Returns when it answers a query. @throws CountersignError LEDGER_UNAVAILABLE */
  check(): Promise<void>;
  /** Ends the server in good order; data without a `dataDir` go. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends the server as a power cut would, and keeps the data: start again with the same `dataDir`. */
  kill(): Promise<void>;
}

/**
 * Starts Postgres, or checks the one that DATABASE_URL names, and returns once it answers.
 *
 * @throws CountersignError CONFIG_INVALID when the port or the data folder is in use or cannot be used; LEDGER_UNAVAILABLE when
 *   Postgres does not start or the external one does not answer
 */
export async function startPostgres(options: DevPostgresOptions = {}): Promise<PostgresServer> {
  const given = (options.env ?? process.env)['DATABASE_URL'];
  if (given !== undefined && given !== '') return await useExternal(given);

  const temporary = await temporaryFolder('postgres');
  try {
    // The server's user must be able to pass through, not to look around.
    await chmod(temporary.path, 0o711);
    const folder = options.dataDir === undefined ? temporary.path : resolve(options.dataDir);
    await mkdir(folder, { recursive: true, mode: 0o711 }).catch((error: unknown) => {
      throw unusable(folder, 'it cannot be made', error);
    });
    const runAs = await postgresUser(join(folder, 'data'));
    const binaries = await postgresBinaries(runAs, temporary.path);
    const data = await openData(folder, runAs, binaries, temporary.path);
    const { server, port } = await launch(binaries, data.place, runAs, options);
    try {
      await createDatabase(connectionUrl(data.password, port, 'postgres'), options.database ?? 'postgres');
    } catch (error) {
      await server.stop();
      throw error;
    }
    const url = connectionUrl(data.password, port, options.database ?? 'postgres');
    return {
      url,
      external: false,
      pid: server.pid,
      ended: server.ended,
      check: () => check(url, 'See its output; start it again.'),
      async stop() {
        await server.stop();
        await temporary.remove();
      },
      kill: () => server.kill(),
    };
  } catch (error) {
    await temporary.remove();
    throw error;
  }
}

function connectionUrl(password: string, port: number, database: string): string {
  return `postgres://${USER}:${password}@${LOOPBACK}:${port}/${encodeURIComponent(database)}`;
}

async function useExternal(url: string): Promise<PostgresServer> {
  const checkExternal = (): Promise<void> =>
    check(
      url,
      'Unset DATABASE_URL to use the embedded Postgres (an env file of an earlier run may have set it). Or start that server, or correct the address.',
      'DATABASE_URL',
    );
  await checkExternal();
  return {
    url,
    external: true,
    pid: undefined,
    ended: new Promise(() => {}),
    check: checkExternal,
    stop: async () => {},
    kill: async () => {},
  };
}

async function check(url: string, fix: string, field?: string): Promise<void> {
  try {
    await query(url, 'SELECT 1');
  } catch (error) {
    throw new CountersignError(
      'LEDGER_UNAVAILABLE',
      field === undefined
        ? `Postgres at ${withoutSecrets(url)} does not answer.`
        : `${field} is set in the environment, and no Postgres answers at ${withoutSecrets(url)}.`,
      {
        ...(field === undefined ? {} : { field }),
        expected: 'postgres://user:password@host:port/database of a running Postgres',
        fix,
        retryable: true,
        cause: error,
      },
    );
  }
}

function withoutSecrets(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname}`;
  } catch {
    return 'the address given';
  }
}

async function query(url: string, text: string, values: readonly string[] = []): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A server that ends while we talk is seen by the query; without a listener it would end this process.
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(text, [...values])).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  if ((await query(url, 'SELECT 1 FROM pg_database WHERE datname = $1', [name])) > 0) return;
  await query(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
}

async function launch(
  binaries: PostgresBinaries,
  place: DataFolder,
  runAs: RunAs,
  options: DevPostgresOptions,
): Promise<{ server: ServerProcess; port: number }> {
  const durable = options.durable ?? options.dataDir !== undefined;
  const settings = {
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    timezone: 'UTC',
    lc_messages: 'C',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ...options.settings,
  };
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    let announce: (state: 'ready') => void = () => {};
    const ready = new Promise<'ready'>((resolve) => {
      announce = resolve;
    });
    const server = startProcess({
      command: binaries.postgres,
      args: [
        '-D',
        place.argument,
        `--port=${port}`,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cwd: place.cwd,
      ...runAs,
      // Fast shutdown; immediate where nobody will read the data again.
      signal: options.dataDir === undefined ? 'SIGQUIT' : 'SIGINT',
      graceMs: 10_000,
      onLine(line) {
        if (line.includes('database system is ready to accept connections')) announce('ready');
        options.output?.(line);
      },
    });
    const state = await within(START_MS, Promise.race([ready, server.ended]));
    if (state === 'ready') return { server, port };
    await server.kill();
    const output = server.output();
    const portTaken = /address already in use/i.test(output);
    if (portTaken && options.port === undefined && attempt < PORT_ATTEMPTS) continue;
    if (portTaken) throw portInUse('postgres', port);
    // After a kill of the server alone its children need a moment to notice.
    if (output.includes('shared memory block') && attempt < CHILDREN_ATTEMPTS) {
      await delay(100);
      continue;
    }
    if (output.includes('postmaster.pid'))
      throw unusable(String(options.dataDir), 'another Postgres serves it', output);
    throw new CountersignError(
      'LEDGER_UNAVAILABLE',
      `The embedded Postgres did not start (${state}): ${lastLine(output)}`,
      {
        fix: 'See the cause; or set DATABASE_URL to a Postgres of yours.',
        cause: output,
      },
    );
  }
}

async function within(ms: number, promise: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, ms, `not ready after ${ms / 1000} s`);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
