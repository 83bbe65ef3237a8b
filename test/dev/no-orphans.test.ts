/** However a process with servers ends, nothing of them is left: no process, no folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';
import { startPostgres } from '../../src/dev/postgres.js';
import { processesWith, runs } from './processes.js';

interface Parent {
  readonly child: ChildProcess;
  readonly pids: readonly number[];
  readonly url: string;
  readonly ended: Promise<number | NodeJS.Signals>;
}

const { DATABASE_URL: _, ...env } = process.env;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});

/** Runs a fixture in a process group of its own, as a terminal would. */
function fixture(
  name: string,
  args: readonly string[],
): { child: ChildProcess; ended: Promise<number | NodeJS.Signals> } {
  const file = path.join(import.meta.dirname, 'fixtures', name);
  const child = spawn(process.execPath, [...argumentsFor(file), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 0));
  });
  return { child, ended };
}

async function startParent(how: string, ...more: readonly string[]): Promise<Parent> {
  const { child, ended } = fixture('parent.ts', [how, ...more]);
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { pids, url } = JSON.parse(line) as { pids: number[]; url: string };
    return { child, pids, url, ended };
  }
  throw new Error(`the parent did not start: ${errors}`);
}

async function expectGone(parent: Parent): Promise<void> {
  for (const pid of parent.pids) await expect.poll(() => runs(pid), { timeout: 20_000 }).toBe(false);
}

/** The folder of the parent's Postgres, while it runs. */
async function dataOf(parent: Parent): Promise<string> {
  const client = new pg.Client({ connectionString: parent.url });
  // It will be cut off.
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ folder: string }>(`SELECT current_setting('data_directory') AS folder`);
  await client.end();
  return String(rows[0]?.folder);
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

describe('a parent of both servers that waits', () => {
  test('and gets SIGINT ends its servers and their folder before itself', async () => {
    const parent = await startParent('wait');
    const data = await dataOf(parent);
    expect(parent.pids).toHaveLength(2);
    for (const pid of parent.pids) expect(await runs(pid)).toBe(true);

    parent.child.kill('SIGINT');
    expect(await parent.ended).toBe(130);
    for (const pid of parent.pids) expect(await runs(pid)).toBe(false);
    expect(await processesWith(data)).toEqual([]);
    expect(await exists(path.dirname(data))).toBe(false);
  });

  test('and gets SIGKILL leaves nothing either', async () => {
    const parent = await startParent('wait');
    const data = await dataOf(parent);
    parent.child.kill('SIGKILL');
    expect(await parent.ended).toBe('SIGKILL');
    expect(parent.pids).toHaveLength(2);
    await expectGone(parent);
    await expect.poll(() => processesWith(data), { timeout: 20_000 }).toEqual([]);
    await expect.poll(() => exists(path.dirname(data)), { timeout: 20_000 }).toBe(false);
  });
});

/** However it ends, each server goes in the same way: one of them, on data that were made before, shows it. */
describe('a parent of one server', () => {
  let kept: string;
  beforeAll(async () => {
    kept = await mkdtemp(path.join(tmpdir(), 'no-orphans-test-'));
    await chmod(kept, 0o755);
    await (await startPostgres({ env, dataDir: path.join(kept, 'data', 'postgres'), database: 'countersign' })).stop();
  });
  afterAll(() => rm(kept, { recursive: true, force: true }));

  async function parentOfOne(how: string): Promise<Parent> {
    const parent = await startParent(how, path.join(kept, 'data'), inject('temporalAddress'));
    expect(parent.pids).toHaveLength(1);
    return parent;
  }

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('that waits and gets %s ends it before itself', async (signal, code) => {
    const parent = await parentOfOne('wait');
    const data = await dataOf(parent);
    for (const pid of parent.pids) expect(await runs(pid)).toBe(true);
    parent.child.kill(signal);
    expect(await parent.ended).toBe(code);
    for (const pid of parent.pids) expect(await runs(pid)).toBe(false);
    expect(await processesWith(data)).toEqual([]);
  });

  test('that waits and gets a Ctrl-C with its whole process group ends it itself, in good order', async () => {
    const parent = await parentOfOne('wait');
    process.kill(-Number(parent.child.pid), 'SIGINT');
    expect(await parent.ended).toBe(130);
    for (const pid of parent.pids) expect(await runs(pid)).toBe(false);
  });

  test.each([
    ['throw', 1],
    ['reject', 1],
    ['exit', 7],
    ['stop', 0],
  ] as const)('that ends by itself, by %s, leaves nothing', async (how, code) => {
    const parent = await parentOfOne(how);
    expect(await parent.ended).toBe(code);
    await expectGone(parent);
  });

  test('that gets SIGKILL leaves data that can be used again at once', async () => {
    const parent = await parentOfOne('wait');
    parent.child.kill('SIGKILL');
    await parent.ended;
    const again = await startPostgres({ env, dataDir: path.join(kept, 'data', 'postgres') });
    await expect(again.check()).resolves.toBeUndefined();
    await again.stop();
    await expectGone(parent);
  });
});

describe('cleanups', () => {
  test('run once, the latest first; one that fails is reported and does not stop the others', async () => {
    const { child, ended } = fixture('cleanups.ts', []);
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      lines.push(line);
      if (line === 'ready') child.kill('SIGTERM');
    }
    expect(await ended).toBe(143);
    expect(lines).toEqual(['ready', 'slow begins', 'slow ends', 'first']);
    expect(errors).toContain('Shutting down the failing one failed: Error: fails on purpose');
  });

  test('that hang are cut short by a second signal', async () => {
    const { child, ended } = fixture('cleanups.ts', ['hang']);
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (line === 'ready' || line === 'slow begins') child.kill('SIGINT');
    }
    expect(await ended).toBe(130);
  });
});
