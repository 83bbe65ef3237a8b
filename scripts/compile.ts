/** Compiles the sources once for a run of tests or chaos, which starts a hundred processes of them. */
import { execFile } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { workflowBundlePath } from '../src/worker/bundle.js';
import { bundlePrograms } from './bundle-programs.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Fills the folder with JavaScript and what stands beside it. It must be within the project, where packages are found. */
export async function compileInto(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are checked by `npm run typecheck`.
  const flags = ['--noCheck', '-p', path.join(ROOT, 'tsconfig.compiled.json'), '--outDir', folder];
  const isBeside = (file: string): boolean => !/\.tsx?$/.test(file);
  // Before the compiler: `cp` fails when somebody else makes the same folder meanwhile.
  const beside = ['src', 'chaos', 'policies'].map((part) =>
    cp(path.join(ROOT, part), path.join(folder, part), { recursive: true, filter: isBeside }),
  );
  const codeCache = 'scripts/code-cache.cjs';
  await Promise.all([...beside, cp(path.join(ROOT, codeCache), path.join(folder, codeCache))]);
  const bundle = await workflowBundlePath();
  await Promise.all([
    promisify(execFile)(process.execPath, [compiler, ...flags]),
    cp(bundle, path.join(folder, 'workflow-bundle.js')),
  ]);
  await bundlePrograms(folder);
}
