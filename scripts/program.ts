/** How tests and chaos run a module of this project in a process of its own. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of sources that were compiled for this run; see `compile.ts`. Processes inherit it. */
export const COMPILED = 'COMPILED_SOURCES';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A process then compiles and collects garbage on its own thread alone: where more run than there are cores, its helpers cost a sixth and gain nothing. */
export const FLAGS: readonly string[] = ['--single-threaded'];

/** The arguments for Node: the compiled module where there is one, which starts in a third of the time; else the TypeScript. */
export function argumentsFor(module: string): readonly string[] {
  const file = runnable(module);
  return [...FLAGS, ...(file.endsWith('.js') ? [file] : ['--import', import.meta.resolve('tsx'), file])];
}

/** What such a process imports in place of this module. */
export function runnable(module: string): string {
  const folder = process.env[COMPILED];
  if (folder === undefined) return module;
  return path.join(folder, path.relative(ROOT, module)).replace(/\.tsx?$/, '.js');
}
