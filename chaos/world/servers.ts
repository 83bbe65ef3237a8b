/** A real Temporal server and a real Postgres, both on disk and on ports of their own, that can be broken and started again. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres, startTemporal, type PostgresServer, type TemporalServer } from '../../src/dev/index.js';

/** `fast`: connections are cut, what is committed is kept; `immediate`: as after a crash, with recovery; `power`: SIGKILL. */
export type PostgresEnd = 'fast' | 'immediate' | 'power';

/** How often a start is tried while the old process lets go of its port and its files. */
const ATTEMPTS = 20;

export class Servers {
  readonly #folder: string;
  #temporal: TemporalServer;
  #postgres: PostgresServer;

  private constructor(folder: string, temporal: TemporalServer, postgres: PostgresServer) {
    this.#folder = folder;
    this.#temporal = temporal;
    this.#postgres = postgres;
  }

  static async start(folder: string): Promise<Servers> {
    const [postgres, temporal] = await Promise.allSettled([launchPostgres(folder), launchTemporal(folder)]);
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
    const port = Number(this.#temporal.address.split(':').at(-1));
    await this.#temporal.kill();
    await delay(awayMs);
    this.#temporal = await again(() => launchTemporal(this.#folder, port));
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

function launchTemporal(folder: string, port?: number): Promise<TemporalServer> {
  return startTemporal({
    env: environment(),
    headless: true,
    dataDir: path.join(folder, 'temporal'),
    log: (message) => void process.stderr.write(`${message}\n`),
    ...(port === undefined ? {} : { port }),
  });
}

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
