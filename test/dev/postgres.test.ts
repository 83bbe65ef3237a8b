/** The embedded Postgres: what it keeps, what it leaves behind, and what it says when it cannot start. */
import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../src/dev/free-port.js';
import { startPostgres, type DevPostgresOptions, type PostgresServer } from '../../src/dev/postgres.js';
import { occupyPort, processesWith, runs } from './processes.js';

const run = promisify(execFile);

let dataDir: string;
let started: PostgresServer[];
/** Data that a server made, served and left in good order: setting them up costs a second, a copy nothing. */
let made: string;
let madeUrl: string;

beforeAll(async () => {
  made = path.join(await mkdtemp(path.join(tmpdir(), 'postgres-made-')), 'kept');
  await chmod(path.dirname(made), 0o755);
  const server = await startPostgres({ env, dataDir: made });
  madeUrl = server.url;
  await server.stop();
});
afterAll(() => rm(path.dirname(made), { recursive: true, force: true }));

/** Gives the test a data folder that was used before. */
async function withData(): Promise<void> {
  // As they are: the server's own user owns them.
  await run('cp', ['-a', made, dataDir]);
}

beforeEach(async () => {
  started = [];
  dataDir = path.join(await mkdtemp(path.join(tmpdir(), 'postgres-test-')), 'kept');
  // As root, the server's own user must be able to pass.
  await chmod(path.dirname(dataDir), 0o755);
});
afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  await rm(path.dirname(dataDir), { recursive: true, force: true });
});

const { DATABASE_URL: _, ...env } = process.env;

async function start(options: DevPostgresOptions = {}): Promise<PostgresServer> {
  const server = await startPostgres({ env, ...options });
  started.push(server);
  return server;
}

async function query(server: PostgresServer, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** The folder of a server that was given none. */
async function folderOf(server: PostgresServer): Promise<string> {
  const [row] = await query(server, `SELECT current_setting('data_directory') AS folder`);
  return String(row?.['folder']);
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

describe('without a data folder', () => {
  test('it answers once started, beside another; stopped, it leaves neither process nor folder', async () => {
    const [server, other] = await Promise.all([start({ database: 'countersign' }), start({ durable: true })]);
    await server.check();
    await query(server, 'CREATE TABLE here (id int)');
    expect(await query(other, `SELECT to_regclass('here') AS found`)).toEqual([{ found: null }]);
    // Commits need not reach the disk where the data are thrown away anyway, unless that is asked for.
    expect(await query(server, 'SHOW fsync')).toEqual([{ fsync: 'off' }]);
    expect(await query(other, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    const folder = await folderOf(server);
    expect(await query(server, 'SELECT current_database() AS name')).toEqual([{ name: 'countersign' }]);
    expect(await processesWith(folder)).toEqual([server.pid]);

    await server.stop();
    expect(await processesWith(folder)).toEqual([]);
    expect(await exists(path.dirname(folder))).toBe(false);
    await expect(server.check()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', retryable: true });
    await server.stop();
    await other.check();
  });
});

describe('with a data folder', () => {
  test('settings reach the server, and commits the disk', async () => {
    await withData();
    const server = await start({ dataDir, settings: { max_connections: '17' } });
    expect(await query(server, 'SHOW max_connections')).toEqual([{ max_connections: '17' }]);
    expect(await query(server, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
  });

  test('data, password and port outlive a stop', async () => {
    await withData();
    const port = await freePort();
    const first = await start({ dataDir, port });
    await query(first, `CREATE TABLE kept AS SELECT 'kept' AS text`);
    await first.stop();
    const second = await start({ dataDir, port });
    expect(second.url).toBe(first.url);
    expect(await query(second, 'SELECT * FROM kept')).toEqual([{ text: 'kept' }]);
  });

  test('what was committed outlives a SIGKILL of the server, on the same port', async () => {
    await withData();
    const port = await freePort();
    const first = await start({ dataDir, port });
    await query(first, `CREATE TABLE kept AS SELECT 'kept' AS text`);
    await first.kill();
    expect(await first.ended).toBe('signal SIGKILL');
    // The pid file is still there, as after a power cut.
    expect(await exists(path.join(dataDir, 'data', 'postmaster.pid'))).toBe(true);
    const second = await start({ dataDir, port });
    expect(await query(second, 'SELECT * FROM kept')).toEqual([{ text: 'kept' }]);
  });

  test('a pid file whose pid now belongs to another program does not block', async () => {
    await withData();
    const pidFile = path.join(dataDir, 'data', 'postmaster.pid');
    await writeFile(pidFile, `${process.pid}\n${path.join(dataDir, 'data')}\n1\n5432\n\n127.0.0.1\n`);
    const server = await start({ dataDir });
    await expect(server.check()).resolves.toBeUndefined();
  });

  test('the password is random and readable by its owner only', async () => {
    const file = path.join(made, 'data', 'superuser.password');
    const password = await readFile(file, 'utf8');
    expect(new URL(madeUrl).password).toBe(password);
    expect(password).toMatch(/^[\w-]{32}$/);
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await stat(path.join(made, 'data'))).mode & 0o077).toBe(0);
  });

  test('a second server on it is refused, and the first goes on', async () => {
    await withData();
    const server = await start({ dataDir });
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'dataDir',
      message: expect.stringContaining(`process ${server.pid} serves it`) as string,
    });
    await server.check();
  });

  test('two that set it up at once agree on one password, and one of them serves it', async () => {
    const both = await Promise.allSettled([start({ dataDir }), start({ dataDir })]);
    const servers = both.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const errors = both.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(servers).toHaveLength(1);
    expect(errors).toMatchObject([{ code: 'CONFIG_INVALID', field: 'dataDir' }]);
    await servers[0]?.stop();
    const again = await start({ dataDir });
    expect(new URL(again.url).password).toBe(new URL(servers[0]?.url ?? '').password);
    expect(await readdir(dataDir)).toEqual(['data']);
  });

  test('data of another major version are refused, not touched', async () => {
    await mkdir(path.join(dataDir, 'data'), { recursive: true });
    await writeFile(path.join(dataDir, 'data', 'PG_VERSION'), '16\n');
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('Postgres 16, not 18') as string,
    });
    expect(await readFile(path.join(dataDir, 'data', 'PG_VERSION'), 'utf8')).toBe('16\n');
  });

  test('data without their password file are refused', async () => {
    await withData();
    await rm(path.join(dataDir, 'data', 'superuser.password'));
    await expect(start({ dataDir })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'dataDir' });
  });

  test('a file in its place is a clear error', async () => {
    await writeFile(dataDir, '');
    await expect(start({ dataDir })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'dataDir' });
  });

  test('below a folder that only its owner enters it works as well, also again after a kill', async () => {
    await chmod(path.dirname(dataDir), 0o700);
    const first = await start({ dataDir });
    await query(first, `CREATE TABLE kept AS SELECT 'kept' AS text`);
    await expect(start({ dataDir })).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'dataDir' });
    await first.kill();
    const second = await start({ dataDir });
    expect(await query(second, 'SELECT * FROM kept')).toEqual([{ text: 'kept' }]);
  });
});

describe('a port that is taken', () => {
  test('is a clear error, and leaves neither process nor folder', async () => {
    const taken = await occupyPort();
    await expect(start({ dataDir, port: taken.port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      field: 'ports.postgres',
      message: `Port ${taken.port} for postgres is in use.`,
    });
    expect(await processesWith(dataDir)).toEqual([]);
    await taken.free();
    await withData();
    await (await start({ dataDir, port: taken.port })).check();
  });
});

describe('a server that cannot start', () => {
  test('is an error with its own words, without the password', async () => {
    await withData();
    const error = await start({ dataDir, settings: { max_connections: 'many' } }).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.stringContaining('max_connections') as string,
    });
    const password = await readFile(path.join(dataDir, 'data', 'superuser.password'), 'utf8');
    expect(JSON.stringify(error) + String((error as Error).cause)).not.toContain(password);
  });
});

describe('DATABASE_URL', () => {
  test('is used as it is, and never stopped', async () => {
    const server = await start({ env: { DATABASE_URL: inject('postgresUrl') } });
    expect(server).toMatchObject({ external: true, pid: undefined, url: inject('postgresUrl') });
    await server.stop();
    await server.kill();
    await server.check();
  });

  test('that does not answer is an error without its password', async () => {
    const url = `postgres://somebody:very-secret@127.0.0.1:${await freePort()}/ledger`;
    const error = await start({ env: { DATABASE_URL: url } }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', field: 'DATABASE_URL', retryable: true });
    const { message, cause } = error as Error;
    expect(message).toContain('127.0.0.1');
    expect([message, JSON.stringify(error), String(cause), (cause as Error).stack].join()).not.toContain('very-secret');
  });

  test('that is no URL is an error that does not repeat it', async () => {
    const error = await start({ env: { DATABASE_URL: 'postgres://very-secret@:x:y' } }).catch(
      (error: unknown) => error,
    );
    expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE', field: 'DATABASE_URL' });
    expect([(error as Error).message, JSON.stringify(error)].join()).not.toContain('very-secret');
  });
});

test('a server that ends by itself says so', async () => {
  await withData();
  const server = await start({ dataDir });
  const { pid } = server;
  if (pid === undefined) throw new Error('an embedded server has a pid');
  process.kill(pid, 'SIGTERM');
  expect(await server.ended).toBe('exit code 0');
  expect(await runs(pid)).toBe(false);
});
