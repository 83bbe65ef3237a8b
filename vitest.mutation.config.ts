/** `npm run mutation`: the tests that need no Temporal, on the sources themselves, as Stryker changes them. Not part of `npm test`. */
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { HookFailures } from './test/mutation/hook-failures.js';
import { InOrder } from './test/mutation/in-order.js';
import { keptThread } from './test/mutation/kept-thread.js';

/** Where a mutant could be handed what the one before had made, caches are those of the mutation tests. */
function ownCaches(): Plugin {
  return {
    name: 'own-caches',
    enforce: 'pre',
    resolveId(source, importer = '') {
      if (source !== 'lru-cache' || !/\/src\/policy\/(bundle|compile|backtest\/windows)\.ts$/.test(importer))
        return undefined;
      return fileURLToPath(new URL('./test/mutation/caches.ts', import.meta.url));
    },
  };
}

export default defineConfig({
  plugins: [keptThread(), ownCaches()],
  test: {
    include: (process.env['MUTATION_TESTS'] ?? '').split(' '),
    globalSetup: process.env['MUTATION_POSTGRES'] === undefined ? [] : ['test/mutation/postgres.ts'],
    setupFiles: ['test/mutation/reset.ts', 'test/support/properties.ts'],
    isolate: false,
    sequence: { sequencer: InOrder },
    // Short, because a mutant that never settles would wait for it. No test takes a quarter of that, also on a machine that is busy.
    testTimeout: Number(process.env['MUTATION_TEST_TIMEOUT_MS'] ?? 15_000),
    hookTimeout: 120_000,
    passWithNoTests: false,
    reporters: ['default', new HookFailures()],
  },
});
