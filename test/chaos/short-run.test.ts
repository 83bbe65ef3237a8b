/** The chaos run in short, as a process of its own, as people start it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';
import { runs } from '../dev/processes.js';
import { ROOT } from '../support/root.js';
import { until } from '../support/until.js';

const MAIN = path.join(ROOT, 'chaos/main.ts');

/** Every process below one. */
async function below(pid: number): Promise<readonly number[]> {
  const own = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const children = own
    .split(' ')
    .filter((part) => part !== '')
    .map(Number);
  return [...children, ...(await Promise.all(children.map(below))).flat()];
}

async function chaos(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [...argumentsFor(MAIN), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

// Longer than the run may take, so that its own verdict is what fails.
test(
  'nothing is lost, doubled, overspent or unexplained when servers and workers die in the middle',
  { timeout: 240_000 },
  async () => {
    const { code, stdout, stderr } = await chaos('--actions', '24', '--seed', 'ci', '--limit-seconds', '120', '--json');
    // What it said on the way belongs to a failure's message.
    const said = stderr.slice(-3000);
    if (stdout === '') throw new Error(said);
    const result = JSON.parse(stdout) as Record<string, unknown> & { disturbances: Record<string, number> };
    expect({ ...result, said }).toMatchObject({
      proposed: 24,
      lost: 0,
      duplicated: 0,
      overspent: 0,
      oversent: 0,
      unexplained: 0,
      receiptsValid: true,
      seed: 'ci',
    });
    expect(result['succeeded']).toBeGreaterThan(0);
    expect(code).toBe(0);
    for (const always of ['kill-worker', 'restart-temporal', 'restart-postgres-fast']) {
      expect(result.disturbances[always]).toBeGreaterThan(0);
    }
  },
);

test('what cannot be run is refused before anything is started', async () => {
  expect(await chaos('--actions', 'many')).toMatchObject({ code: 2, stdout: '' });
});

test('a Ctrl-C in the middle takes servers, workers and the service with it', async () => {
  const child = spawn(process.execPath, [...argumentsFor(MAIN), '--actions', '20', '--seed', 'stop'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(
    async () => said,
    (text) => text.includes('20 actions by'),
    { withinMs: 45_000 },
  );
  const started = await below(child.pid ?? 0);
  // Two workers, the payment service, Temporal and Postgres at least.
  expect(started.length).toBeGreaterThanOrEqual(5);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([130, null]);
  await until(
    async () => (await Promise.all(started.map(runs))).filter(Boolean).length,
    (left) => left === 0,
  );
});
