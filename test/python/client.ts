/** clients/python: its style, its types, its tests against a real gateway and worker, and its wheel. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await startWorld('python-client', 'requirements.txt');
}, 600_000);
afterAll(() => world?.stop());

describe.concurrent('the package in Python', { timeout: 300_000 }, () => {
  test('passes its tests', async () => {
    expect(await world.succeeds('pytest')).toMatch(/\d+ passed/);
  });

  test('has its types, strictly', async () => {
    expect(await world.succeeds('mypy')).toContain('no issues found');
  });

  test('has its style', async () => {
    expect(await world.succeeds('ruff', 'check', '--no-cache', '.')).toContain('All checks passed');
    expect(await world.succeeds('ruff', 'format', '--no-cache', '--check', '.')).toContain('already formatted');
  });

  test('is a wheel with the code and the marker of its types', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-wheel-'));
    try {
      await world.succeeds('python', '-m', 'build', '--wheel', '--no-isolation', '--outdir', folder, '.');
      const [wheel = ''] = await readdir(folder);
      expect(wheel).toBe('countersign_client-0.1.0-py3-none-any.whl');
      const target = path.join(folder, 'installed');
      const options = ['--quiet', '--no-deps', '--no-index', '--target', target];
      await world.succeeds('uv', 'pip', 'install', ...options, path.join(folder, wheel));
      const check = `import sys; sys.path.insert(0, ${JSON.stringify(target)}); import countersign_client as c; print(c.__file__)`;
      expect(await world.succeeds('python', '-c', check)).toContain(path.join(target, 'countersign_client'));
      expect(await readdir(path.join(target, 'countersign_client'))).toContain('py.typed');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
