/** Both servers together: what `countersign dev` stands on. */
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startDevServers, type DevServers } from '../../src/dev/index.js';
import { occupyPort, processesWith, runs } from './processes.js';

const { DATABASE_URL: _database, TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;

let dataDir: string;
let servers: DevServers | undefined;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'dev-servers-test-'));
  await chmod(dataDir, 0o755);
});
afterEach(async () => {
  await servers?.stop();
  servers = undefined;
  await rm(dataDir, { recursive: true, force: true });
});

const handlers = (): number => process.listenerCount('SIGINT') + process.listenerCount('uncaughtException');

test('they keep their data in one folder each, say when one ends by itself, and give the process back as it was', async () => {
  const before = handlers();
  const said: string[] = [];
  servers = await startDevServers({ env, dataDir, headless: true, log: (message) => said.push(message) });
  expect(handlers()).toBeGreaterThan(before);
  await Promise.all([servers.postgres.check(), servers.temporal.check()]);
  expect(new URL(servers.postgres.url).pathname).toBe('/countersign');
  expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'temporal']);

  const pids = [servers.postgres.pid, servers.temporal.pid].map(Number);
  process.kill(Number(servers.temporal.pid), 'SIGKILL');
  const ended = ['The Temporal server has ended by itself (signal SIGKILL).'];
  await expect.poll(() => said).toEqual(ended);
  const client = new pg.Client({ connectionString: servers.postgres.url });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();

  await servers.stop();
  await servers.stop();
  expect(await Promise.all(pids.map(runs))).toEqual([false, false]);
  expect(handlers()).toBe(before);
  // Of those that are stopped nothing is said.
  expect(said).toEqual(ended);
});

test('when one cannot start, the other is not left running', async () => {
  const before = handlers();
  const taken = await occupyPort();
  await expect(
    startDevServers({ env, dataDir, headless: true, ports: { temporal: taken.port }, log: () => {} }),
  ).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'ports.temporal' });
  await taken.free();
  expect(await processesWith(dataDir)).toEqual([]);
  expect(handlers()).toBe(before);
});
