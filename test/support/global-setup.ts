/** Starts one Postgres and one Temporal server for the whole test run, and ends both after it. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { compileInto } from '../../scripts/compile.js';
import { cacheCode, COMPILED } from '../../scripts/program.js';
import { startPostgres } from '../../src/dev/postgres.js';
import { startTemporal } from '../../src/dev/temporal.js';
import { ROOT } from './root.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a superuser, on the server of this run. */
    postgresUrl: string;
    /** `host:port` of the server of this run; without a UI. */
    temporalAddress: string;
    /** The folder that holds `src/`, `activities/` and `workflows/` as JavaScript. */
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
  const [sources, postgres, temporal] = await Promise.allSettled([
    compileInto(compiled),
    startPostgres({ env, settings: { max_connections: '300' } }),
    startTemporal({ env, headless: true, log: (message) => process.stderr.write(`${message}\n`) }),
  ]);
  // Nobody waits for it, and it fails no test.
  const caching = sources.status === 'fulfilled' ? cacheCode(compiled).catch(() => {}) : undefined;
  const stop = async (): Promise<void> => {
    await caching;
    if (postgres.status === 'fulfilled') await postgres.value.stop();
    if (temporal.status === 'fulfilled') await temporal.value.stop();
    // A process that ends just now may still write what it compiled: Node 22 and later do.
    const gone = { recursive: true, force: true, maxRetries: 10, retryDelay: 100 };
    for (const made of [compiled, `${compiled}-code`]) await rm(made, gone);
  };
  if (sources.status === 'rejected' || postgres.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw [sources, postgres, temporal].find((part) => part.status === 'rejected')?.reason;
  }
  try {
    // Of what was compiled, so not before.
    const { makeTemplates } = await import('./templates.js');
    await makeTemplates(postgres.value.url);
  } catch (error) {
    await stop();
    throw error;
  }
  process.env[COMPILED] = compiled;
  project.provide('postgresUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  project.provide('compiledSources', compiled);
  return stop;
}
