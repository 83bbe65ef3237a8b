/**
 * The sources, compiled once for a test run. A command line that runs from here needs a quarter of the CPU time of one that compiles
 * itself, and tests start a hundred of them.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { ROOT } from './root.js';

let compiled: Promise<string> | undefined;

/** The folder that holds `src/`, `activities/` and `workflows/` as JavaScript. The end of the run removes it. */
export function compiledSources(): Promise<string> {
  return (compiled ??= compileInto(inject('compiledSources')));
}

async function compileInto(folder: string): Promise<string> {
  if (await exists(folder)) return folder;
  const making = `${folder}-making-${process.pid}`;
  await mkdir(making, { recursive: true });
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are checked by `npm run typecheck`.
  const flags = '--noCheck --declaration false --declarationMap false --sourceMap false --outDir';
  const project = path.join(ROOT, 'tsconfig.build.json');
  await promisify(execFile)(process.execPath, [compiler, '-p', project, ...flags.split(' '), making]);
  await cp(path.join(ROOT, 'src'), path.join(making, 'src'), {
    recursive: true,
    filter: (file) => !/\.tsx?$/.test(file),
  });
  try {
    await rename(making, folder);
  } catch (error) {
    // Another test file was faster.
    if (!(await exists(folder))) throw error;
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}

async function exists(folder: string): Promise<boolean> {
  return await stat(folder).then(
    () => true,
    () => false,
  );
}
