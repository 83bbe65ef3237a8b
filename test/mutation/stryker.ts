/** Runs Stryker, which is installed into the cache folder when it is first asked for: no dependency of development, because it brings 170 packages. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/dev/temporal-binary.js';
import { ROOT } from '../support/root.js';
import type { Part } from './parts.js';

/** The last that runs on Node 20. */
const PACKAGES = ['@stryker-mutator/core@9.6.1', '@stryker-mutator/vitest-runner@9.6.1'];

/** Below it, the run fails: percent of the mutants that are killed. */
export const BREAK = 85;

export interface Mutant {
  readonly status:
    'Killed' | 'Timeout' | 'Survived' | 'NoCoverage' | 'Ignored' | 'RuntimeError' | 'CompileError' | 'Pending';
  readonly statusReason?: string;
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly location: { readonly start: { readonly line: number } };
  /** Whether it is in what a module does when it is loaded. */
  readonly static?: boolean;
}

/** By file. The format is that of mutation-testing-report-schema. */
export type Report = Readonly<Record<string, { readonly mutants: readonly Mutant[] }>>;

/** @returns the folder of the installed packages */
export async function installStryker(): Promise<string> {
  const folder = path.join(cacheFolder(process.env), `mutation-${PACKAGES.join('-').replaceAll(/[^\w.-]/g, '-')}`);
  const modules = path.join(folder, 'node_modules');
  if (!existsSync(path.join(modules, '@stryker-mutator/vitest-runner/package.json'))) {
    const options = [
      '--ignore-scripts',
      '--legacy-peer-deps',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--prefix',
      folder,
    ];
    await promisify(execFile)('npm', ['install', ...options, ...PACKAGES], { timeout: 550_000 });
  }
  // It asks for vitest beside itself, and then uses this project's.
  const link = path.join(modules, 'vitest');
  await rm(link, { force: true });
  await symlink(path.join(ROOT, 'node_modules/vitest'), link);
  return modules;
}

export interface RunOptions {
  readonly concurrency: number;
  /** Mutants in what modules do when they are loaded, too: each has to load everything anew. */
  readonly statics: boolean;
}

/** @returns what became of each mutant. @throws Error when Stryker could not run */
export async function runStryker(modules: string, part: Part, options: RunOptions): Promise<Report> {
  const folder = path.join('.countersign/mutation', part.name);
  await mkdir(path.join(ROOT, folder), { recursive: true });
  const config = path.join(folder, 'stryker.config.json');
  await writeFile(path.join(ROOT, config), `${JSON.stringify(configOf(modules, folder, part, options), null, 2)}\n`);
  const child = spawn(process.execPath, [path.join(modules, '@stryker-mutator/core/bin/stryker.js'), 'run', config], {
    cwd: ROOT,
    env: {
      ...(part.runsPerThread === undefined ? {} : { MUTATION_RUNS_PER_THREAD: String(part.runsPerThread) }),
      ...(part.testTimeoutMs === undefined ? {} : { MUTATION_TEST_TIMEOUT_MS: String(part.testTimeoutMs) }),
      ...process.env,
      MUTATION_TESTS: part.tests.join(' '),
      ...(part.postgres === undefined ? {} : { MUTATION_POSTGRES: '1' }),
      ...(part.keepsPolicies === undefined ? {} : { MUTATION_KEEPS_POLICIES: '1' }),
      // A mutant is noticed by a few cases of a costly property, or by the tests that say what breaks.
      FAST_CHECK_RUNS: '0.2',
    },
    // What it prints is progress; standard output is for the figures.
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  const written = await readFile(path.join(ROOT, folder, 'report.json'), 'utf8').catch(() => undefined);
  if (code !== 0 || written === undefined)
    throw new Error(`Stryker ended with ${code} on ${part.name}; it says why above.`);
  return (JSON.parse(written) as { files: Report }).files;
}

function configOf(modules: string, folder: string, part: Part, { concurrency, statics }: RunOptions): object {
  return {
    mutate: part.mutate,
    testRunner: 'vitest',
    plugins: [path.join(modules, '@stryker-mutator/vitest-runner/dist/src/index.js'), './test/mutation/words.mjs'],
    vitest: { configFile: 'vitest.mutation.config.ts', related: false },
    ignorers: ['words'],
    coverageAnalysis: 'perTest',
    ignoreStatic: !statics,
    concurrency,
    timeoutMS: 20_000,
    dryRunTimeoutMinutes: 15,
    incremental: true,
    incrementalFile: path.join(folder, 'incremental.json'),
    tempDirName: path.join(folder, 'sandbox'),
    // Everything that the tests do not need, because each run copies the rest.
    ignorePatterns: [
      '/dist',
      '/.countersign',
      '/bench',
      '/clients',
      '/deploy',
      '/docker',
      '/docs',
      '/ops',
      '/topology',
    ],
    // Stryker rewrites this project's with TypeScript's old API, for a sandbox that is elsewhere.
    tsconfigFile: 'none.json',
    disableTypeChecks: false,
    reporters: ['json', 'html', 'progress-append-only'],
    jsonReporter: { fileName: path.join(folder, 'report.json') },
    htmlReporter: { fileName: path.join(folder, 'report.html') },
    allowConsoleColors: false,
    // The threshold is held by whoever adds the parts up.
    thresholds: { high: 95, low: BREAK, break: null },
  };
}
