/** What the tests of the documents share. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { expect, inject } from 'vitest';
import { ROOT } from '../support/root.js';

/** A new folder inside the project, so that what is run there finds its packages. Whoever asks for it removes it. */
export async function scratch(name: string): Promise<string> {
  await mkdir(path.join(ROOT, '.countersign'), { recursive: true });
  return await mkdtemp(path.join(ROOT, '.countersign', `${name}-`));
}

/** A snippet as it runs against the sources, as they were compiled for this run. */
export function onSources(snippet: string): string {
  return snippet.replaceAll(
    /from 'countersign(\/\w+)?'/g,
    (_, entry?: string) => `from '${inject('compiledSources')}/src${entry ?? ''}/index.js'`,
  );
}

/** Writes a snippet of TypeScript as what Node runs by itself. @returns the file */
export async function programFrom(folder: string, name: string, snippet: string): Promise<string> {
  const file = path.join(folder, name.replace(/\.ts$/, '.mjs'));
  const { code } = await transform(snippet, { loader: 'ts', format: 'esm' });
  await writeFile(file, code);
  return file;
}

/** Runs `policy.test.ts` in the folder, as its reader would, and expects its one test to pass. */
export async function passesInVitest(folder: string): Promise<void> {
  const config = path.join(folder, 'vitest.config.mjs');
  await writeFile(config, 'export default { test: { include: ["**/policy.test.ts"] } }');
  const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [vitest, 'run', '--root', folder, '--config', config, path.join(folder, 'policy.test.ts')],
    { cwd: ROOT },
  );
  expect(stdout).toMatch(/1 passed/);
}

/** The pages of docs/getting-started, by the names of their files. */
export async function waysIn(): Promise<Readonly<Record<string, string>>> {
  const folder = path.join(ROOT, 'docs/getting-started');
  const names = await readdir(folder);
  const read = names.map(async (name) => [name, await readFile(path.join(folder, name), 'utf8')] as const);
  return Object.fromEntries(await Promise.all(read));
}

/** The fenced blocks of pages that have the name of a file, in their order. */
export function snippetsOf(...pages: readonly string[]): ReadonlyMap<string, string> {
  const found = pages.flatMap((page) => [...page.matchAll(/^```\w+ (\S+)\n([^]*?)^```/gm)]);
  return new Map(found.map(([, name = '', code = '']) => [name, code]));
}
