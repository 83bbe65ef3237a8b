/** A real Temporal server and a real Postgres, both on disk and on ports of their own, that can be broken and started again. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProductionTemporal } from '../../topology/temporal-server.js';
import { openConnection } from '../../src/client/connection.js';
import { ensureSearchAttributes } from '../../src/client/search-attributes.js';
import { startPostgres, startTemporal, type PostgresServer, type TemporalServer } from '../../src/dev/index.js';

/** `fast`: connections are cut, what is committed is kept; `immediate`: as after a crash, with recovery; `power`: SIGKILL. */
export type PostgresEnd = 'fast' | 'immediate' | 'power';

/** How often a start is tried while the old process lets go of its port and its files. */
const ATTEMPTS = 20;

/** `dev`: the development server, on a file; `production`: the production server, on a Postgres of its own. */
export type TemporalKind = 'dev' | 'production';

/** A Temporal server that can be started again on the same data and port. */
interface Temporal {
  readonly address: string;
  stop(): Promise<void>;
  /** As a power cut would. */
  kill(): Promise<void>;
  startAgain(): Promise<void>;
}

export class Servers {
  readonly #folder: string;
  readonly #temporal: Temporal;
  #postgres: PostgresServer;

  private constructor(folder: string, temporal: Temporal, postgres: PostgresServer) {
    this.#folder = folder;
    this.#temporal = temporal;
    this.#postgres = postgres;
  }

  static async start(folder: string, kind: TemporalKind): Promise<Servers> {
    const [postgres, temporal] = await Promise.allSettled([launchPostgres(folder), launch[kind](folder)]);
    if (postgres.status === 'fulfilled' && temporal.status === 'fulfilled') {
      return new Servers(folder, temporal.value, postgres.value);
    }
    if (postgres.status === 'fulfilled') await postgres.value.stop();
    if (temporal.status === 'fulfilled') await temporal.value.stop();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }

  get temporalAddress(): string {
    return this.#temporal.address;
  }

  /** Of a superuser. */
  get postgresUrl(): string {
    return this.#postgres.url;
  }

  /** Kills Temporal as a power cut would, leaves it away for a while, and starts it again on the same data and port. */
  async restartTemporal(awayMs: number): Promise<void> {
    await this.#temporal.kill();
    await delay(awayMs);
    await again(() => this.#temporal.startAgain());
  }

  async restartPostgres(how: PostgresEnd, awayMs: number): Promise<void> {
    const port = Number(new URL(this.#postgres.url).port);
    const { pid, ended } = this.#postgres;
    if (how === 'immediate' && pid !== undefined) {
      process.kill(pid, 'SIGQUIT');
      await ended;
    }
    if (how === 'power') await this.#postgres.kill();
    else await this.#postgres.stop();
    await delay(awayMs);
    this.#postgres = await again(() => launchPostgres(this.#folder, port));
  }

  async stop(): Promise<void> {
    await Promise.all([this.#temporal.stop(), this.#postgres.stop()]);
  }
}

/** Ours, whatever the environment names: the run breaks them. */
function environment(): NodeJS.ProcessEnv {
  const { DATABASE_URL: _url, TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;
  return env;
}

const progress = (message: string): void => void process.stderr.write(`${message}\n`);

const launch: Readonly<Record<TemporalKind, (folder: string) => Promise<Temporal>>> = {
  async dev(folder) {
    const start = (port?: number): Promise<TemporalServer> =>
      startTemporal({
        env: environment(),
        headless: true,
        dataDir: path.join(folder, 'temporal'),
        log: progress,
        ...(port === undefined ? {} : { port }),
      });
    let running = await start();
    const { address } = running;
    return {
      address,
      stop: () => running.stop(),
      kill: () => running.kill(),
      async startAgain() {
        running = await start(Number(address.split(':').at(-1)));
      },
    };
  },
  async production(folder) {
    const postgres = await startPostgres({
      env: environment(),
      dataDir: path.join(folder, 'temporal-postgres'),
      settings: { max_connections: '200' },
    });
    try {
      const server = await startProductionTemporal(postgres.url, folder, progress);
      const { connection, close } = await openConnection(server.address);
      try {
        await ensureSearchAttributes(connection, server.namespace);
      } finally {
        await close();
      }
      return {
        ...server,
        async stop() {
          await server.stop();
          await postgres.stop();
        },
      };
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  },
};

function launchPostgres(folder: string, port?: number): Promise<PostgresServer> {
  return startPostgres({
    env: environment(),
    dataDir: path.join(folder, 'postgres'),
    settings: { max_connections: '200' },
    ...(port === undefined ? {} : { port }),
  });
}

async function again<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt >= ATTEMPTS) throw error;
      await delay(250);
    }
  }
}
