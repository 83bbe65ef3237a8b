/** How the tests run. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Processes, not threads: the Temporal SDK is a native module with a runtime per process.
    pool: 'forks',
    maxWorkers: 3,
    // Generous, because a slow machine is not a wrong result.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    passWithNoTests: false,
    // Named, because other environments get reporters that leave out the summary of files and tests.
    reporters: ['default'],
  },
});
