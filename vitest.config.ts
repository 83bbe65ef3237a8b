/** How the tests run. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { Plugin } from 'vite';
import { withCodeCache } from './scripts/program.js';
import { LongestFirst } from './test/support/longest-first.js';

const ROOT = path.dirname(fileURLToPath(import.meta.url));

/** Of the sources, as they are compiled for this run. */
const COMPILED = path.join(ROOT, `.countersign/compiled-${process.pid}`);

/**
 * Has tests import the sources that were compiled for this run, as Node loads them, instead of transforming and evaluating a thousand
 * modules anew for each file of tests. The setup of the run compiles them first, from the sources themselves.
 */
function compiledSources(): Plugin {
  return {
    name: 'compiled-sources',
    enforce: 'pre',
    resolveId(source, importer) {
      if (importer === undefined || !source.startsWith('.') || !importer.startsWith(ROOT)) return undefined;
      const from = path.relative(ROOT, importer);
      if (!/^(test|examples|site)\//.test(from) || from === 'test/support/global-setup.ts') return undefined;
      const module = path.relative(ROOT, path.resolve(path.dirname(importer), source));
      if (!/^(src|activities|workflows|chaos)\/.*\.js$/.test(module)) return undefined;
      return { id: path.join(COMPILED, module), external: true };
    },
  };
}

export default defineConfig({
  plugins: [compiledSources()],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/properties.ts'],
    // Processes, not threads: the Temporal SDK is a native module with a runtime per process.
    pool: 'forks',
    // A thread for workflows, which each worker starts, loads as much as a program does.
    execArgv: [...withCodeCache(COMPILED)],
    // A process runs many files: the SDK takes seconds to load. No file may leave behind what another meets.
    isolate: false,
    server: { deps: { external: [/\.countersign\/compiled-/] } },
    maxWorkers: 4,
    // Of one file's tests that wait beside each other. More would begin so many processes at once that each is late.
    maxConcurrency: 2,
    sequence: { sequencer: LongestFirst },
    // Generous, because a slow machine is not a wrong result.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    teardownTimeout: 20_000,
    passWithNoTests: false,
    // Named, because other environments get reporters that leave out the summary of files and tests.
    reporters: ['default'],
  },
});
