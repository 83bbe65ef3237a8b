/** A fresh database per test file, on the Postgres of this run. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { TEMPLATES } from './templates.js';

export interface TestDatabase {
  /** With a superuser's password. */
  readonly url: string;
  /** Removes it, also while connections to it are open. */
  drop(): Promise<void>;
}

/**
 * Makes a database with a name of its own: empty, or set up. Drop it in `afterAll`; what is not dropped goes with the server.
 */
export async function createDatabase(setUp?: keyof typeof TEMPLATES): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asSuperuser(`CREATE DATABASE ${name}${setUp === undefined ? '' : ` TEMPLATE ${TEMPLATES[setUp]}`}`);
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => asSuperuser(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function asSuperuser(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
