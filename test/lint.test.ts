/** What the linter is relied on for: it is type-aware, so it catches a promise that nobody awaits; and it finds import cycles. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './support/root.js';

const fetchIt = 'async function fetchIt(): Promise<number> {\n  return Promise.resolve(1);\n}\n\n';

const FILES: Readonly<Record<string, string>> = {
  'floating.ts': `${fetchIt}export function start(): void {\n  fetchIt();\n}\n`,
  'awaited.ts': `${fetchIt}export async function start(): Promise<void> {\n  await fetchIt();\n}\n`,
  'value-a.ts': "import { b } from './value-b.js';\nexport const a = (): number => b();\n",
  'value-b.ts': "import { a } from './value-a.js';\nexport const b = (): number => a();\n",
  'type-a.ts': "import type { b } from './type-b.js';\nexport type a = b | 1;\n",
  'type-b.ts': "import type { a } from './type-a.js';\nexport type b = a | 2;\n",
};

let folder: string;
let exit: number;
/** The rules that each file is against. */
const against = new Map<string, string[]>();

// Once for all files: what it costs is to load the project's types.
beforeAll(async () => {
  await mkdir(path.join(ROOT, 'test/tmp'), { recursive: true });
  folder = await mkdtemp(path.join(ROOT, 'test/tmp/lint-'));
  const files = Object.keys(FILES).map((name) => path.join(folder, name));
  for (const file of files) await writeFile(file, FILES[path.basename(file)] ?? '');
  const oxlint = path.join(ROOT, 'node_modules/.bin/oxlint');
  const flags = ['--type-aware', '--deny-warnings', '--format=json', ...files];
  const { code, stdout } = await promisify(execFile)(oxlint, flags, { cwd: ROOT }).then(
    (done) => ({ code: 0, stdout: done.stdout }),
    (failed: { code: number; stdout: string }) => failed,
  );
  exit = code;
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  for (const { code: rule, filename } of diagnostics) {
    const name = path.basename(filename);
    against.set(name, [...(against.get(name) ?? []), rule]);
  }
});
afterAll(() => rm(path.join(ROOT, 'test/tmp'), { recursive: true, force: true }));

test('a floating promise is an error', () => {
  expect(exit).toBe(1);
  expect(against.get('floating.ts')).toEqual(['typescript(no-floating-promises)']);
});

test('an awaited one is not', () => {
  expect(against.get('awaited.ts')).toBeUndefined();
});

test.each(['value', 'type'])('an import cycle of %ss is an error', (kind) => {
  for (const name of [`${kind}-a.ts`, `${kind}-b.ts`]) expect(against.get(name)).toContain('import(no-cycle)');
});
