/** What the linter is relied on for: it is type-aware, so it catches a promise that nobody awaits; and it finds import cycles. */
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

async function lint(code: string, name = 'sample.ts', flags = ['--type-aware']): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, code);
  const run = promisify(execFile)(path.join(ROOT, 'node_modules/.bin/oxlint'), [...flags, '--deny-warnings', file], {
    cwd: ROOT,
  });
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

test.each([
  ['of values', 'import { b } from', 'export const a = (): number => b();', 'export const b = (): number => a();'],
  ['of types alone', 'import type { b } from', 'export type a = b | 1;', 'export type b = a | 2;'],
])('an import cycle %s is an error', async (_name, importing, a, b) => {
  await writeFile(path.join(folder, 'a.ts'), `${importing} './b.js';\n${a}\n`);
  expect(await lint(`${importing.replace('b', 'a')} './a.js';\n${b}\n`, 'b.ts', [])).toContain('no-cycle');
});
