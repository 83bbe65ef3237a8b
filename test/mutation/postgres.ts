/** Starts one Postgres for a process that tries mutants whose tests need one. */
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../src/dev/postgres.js';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { DATABASE_URL: _database, ...env } = process.env;
  const postgres = await startPostgres({ env, settings: { max_connections: '100' } });
  project.provide('postgresUrl', postgres.url);
  return () => postgres.stop();
}
