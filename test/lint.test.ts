/** The linter is type-aware: it catches a promise that nobody awaits. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './support/root.js';

let folder: string;
beforeAll(async () => {
  await mkdir(path.join(ROOT, 'test/tmp'), { recursive: true });
  folder = await mkdtemp(path.join(ROOT, 'test/tmp/lint-'));
});
afterAll(() => rm(path.join(ROOT, 'test/tmp'), { recursive: true, force: true }));

async function lint(code: string): Promise<string> {
  const file = path.join(folder, 'sample.ts');
  await writeFile(file, code);
  const run = promisify(execFile)(
    path.join(ROOT, 'node_modules/.bin/oxlint'),
    ['--type-aware', '--deny-warnings', file],
    { cwd: ROOT },
  );
  return run.then(
    ({ stdout }) => stdout,
    (failed: { stdout: string }) => failed.stdout,
  );
}

const fetchIt = 'async function fetchIt(): Promise<number> {\n  return Promise.resolve(1);\n}\n\n';

test('a floating promise is an error', async () => {
  expect(await lint(`${fetchIt}export function start(): void {\n  fetchIt();\n}\n`)).toContain('no-floating-promises');
});

test('an awaited one is not', async () => {
  expect(await lint(`${fetchIt}export async function start(): Promise<void> {\n  await fetchIt();\n}\n`)).not.toContain(
    'floating',
  );
});
