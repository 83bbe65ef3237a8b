/** Starts one Postgres and one Temporal server for the whole test run, and ends both after it. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../src/dev/postgres.js';
import { startTemporal } from '../../src/dev/temporal.js';
import { ROOT } from './root.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a superuser, on the server of this run. */
    postgresUrl: string;
    /** `host:port` of the server of this run; without a UI. */
    temporalAddress: string;
    /** Where `compiledSources` puts what it compiles for this run. */
    compiledSources: string;
  }
}

/**
 * Never the servers that DATABASE_URL and TEMPORAL_ADDRESS name: tests drop databases. Should this process die on the way,
 * also by a Ctrl-C or SIGKILL, the watchdog of src/dev ends both servers.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { DATABASE_URL: _database, TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;
  const compiled = path.join(ROOT, `.countersign/compiled-${process.pid}`);
  const [postgres, temporal] = await Promise.allSettled([
    startPostgres({ env, settings: { max_connections: '300' } }),
    startTemporal({ env, headless: true, log: (message) => process.stderr.write(`${message}\n`) }),
  ]);
  const stop = async (): Promise<void> => {
    if (postgres.status === 'fulfilled') await postgres.value.stop();
    if (temporal.status === 'fulfilled') await temporal.value.stop();
    await rm(compiled, { recursive: true, force: true });
  };
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  project.provide('postgresUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  project.provide('compiledSources', compiled);
  return stop;
}
