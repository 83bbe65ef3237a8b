/** How tests and chaos run a module of this project in a process of its own. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The folder of sources that were compiled for this run; see `compile.ts`. Processes inherit it. */
export const COMPILED = 'COMPILED_SOURCES';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Of Node, for each process of a run. */
export const FLAGS: readonly string[] = [
  // A process then compiles and collects garbage on its own thread alone: where more run than there are cores, its helpers cost a sixth and gain nothing.
  '--single-threaded',
  // Loading modules makes so much that is kept that a small nursery is collected again and again: an eighth of what a run costs. It begins no larger
  // than the heap of the evaluator's thread may be: V8 ends the process where it cannot be.
  '--min-semi-space-size=16',
  '--max-semi-space-size=64',
  // As src/policy/cedar.ts sets it: V8 reads cached code under the flags alone that it was made under.
  '--no-turbo-inline-js-wasm-calls',
];

/** The condition under which an installed package's entries are those of the programs' bundles: a program and its configuration then share one copy. */
export const CONDITION = 'countersign-bundled';

/** For Node, which then reads the code of packages, in each of a process's threads, where it is kept for the sources that were compiled into the folder. */
export function withCodeCache(folder: string): readonly string[] {
  return [...FLAGS, '--require', path.join(folder, 'scripts/code-cache.cjs')];
}

/** The arguments for Node: the compiled module where there is one, which starts in a third of the time; else the TypeScript. */
export function argumentsFor(module: string): readonly string[] {
  const folder = process.env[COMPILED];
  if (folder === undefined) return [...FLAGS, '--import', import.meta.resolve('tsx'), module];
  return [...withCodeCache(folder), `--conditions=${CONDITION}`, runnable(module)];
}

/** Keeps V8's code of the packages that programs load, in `<folder>-code`. Who starts before it is there loads them without. */
export async function cacheCode(folder: string): Promise<void> {
  const programs = ['test/support/worker-process.js', 'test/support/gateway-process.js'];
  const loads = programs.map((file) => `await import(${JSON.stringify(path.join(folder, file))});`).join('');
  const program = ['--input-type=module', '--eval', `${loads}process.exit()`];
  await promisify(execFile)(process.execPath, [...withCodeCache(folder), ...program], {
    env: { ...process.env, CODE_CACHE_RECORDS: '1' },
  });
}

/** What such a process imports in place of this module. */
export function runnable(module: string): string {
  const folder = process.env[COMPILED];
  if (folder === undefined) return module;
  return path.join(folder, path.relative(ROOT, module)).replace(/\.tsx?$/, '.js');
}
