/** Brings the Temporal CLI into the cache: by the Temporal SDK's download, or built with Go. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProcess } from './child.js';
import { isAlive } from './data-folder.js';
import { findDevPackage, installCommand } from './optional-packages.js';
import { guard } from './watchdog.js';

/** The version that Countersign is tested with; later ones cannot be built by `go install`. */
export const TEMPORAL_VERSION = '1.5.1';

const PROGRESS_MS = 10_000;
const DOWNLOAD_MS = 10 * 60_000;
const BUILD_MS = 60 * 60_000;

export interface InstallOptions {
  /** Where the binary goes. */
  readonly target: string;
  /** The Go compiler, when there is one. */
  readonly go: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly log: (message: string) => void;
  /** @returns what `--version` prints. @throws Error with why it cannot be used */
  readonly check: (path: string) => Promise<string>;
}

export interface Installed {
  /** What `--version` prints. */
  readonly version: string;
  /** `cache` when another process brought it while we waited for that. */
  readonly source: 'cache' | 'download' | 'build';
}

/**
 * Brings the CLI to `target`. Of several processes one works and the others wait for it.
 *
 * @throws Error with what was tried and why it failed
 */
export async function installTemporal(options: InstallOptions): Promise<Installed> {
  const { target, go, log, check } = options;
  await mkdir(dirname(target), { recursive: true });
  const unlock = await lock(`${target}.lock`, log);
  try {
    const already = await check(target).catch(() => undefined);
    if (already !== undefined) return { version: already, source: 'cache' };
    try {
      return { version: await make(options, (folder) => download(options, folder)), source: 'download' };
    } catch (error) {
      log(`The Temporal CLI could not be downloaded: ${(error as Error).message}`);
      if (go === undefined) throw new Error(`download: ${(error as Error).message}`, { cause: error });
      try {
        return { version: await make(options, (folder) => build(options, go, folder)), source: 'build' };
      } catch (second) {
        const why = `download: ${(error as Error).message}; build: ${(second as Error).message}`;
        throw new Error(why, { cause: second });
      }
    }
  } finally {
    await unlock();
  }
}

/** Lets `fill` put one binary into an empty folder, then moves it to the target in one step, so that no process sees half a binary. */
async function make(options: InstallOptions, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(`${options.target}-making-`);
  const release = guard({ folder });
  try {
    await fill(folder);
    const made = (await readdir(folder)).find((name) => name.startsWith('temporal'));
    if (made === undefined) throw new Error('it left no binary');
    const version = await options.check(join(folder, made));
    await rename(join(folder, made), options.target);
    return version;
  } finally {
    await rm(folder, { recursive: true, force: true });
    release();
  }
}

/** The SDK has no call that only downloads, so a server is started and ended. */
const DOWNLOAD = `
const { TestWorkflowEnvironment } = require(process.argv[1]);
const executable = { type: 'cached-download', downloadDir: process.argv[2], version: process.argv[3] };
TestWorkflowEnvironment.createLocal({ server: { executable, log: { format: 'pretty', level: 'error' } } })
  .then((environment) => environment.teardown())
  .then(() => process.exit(0), (error) => {
    // Each cause repeats the message of the one above it.
    console.error([...new Set(String(error.message).split(': '))].join(': '));
    process.exit(1);
  });
`;

/**
 * In a process of its own, because the SDK's runtime can be configured only once per process, and that is the worker's to do.
 * Without a network it fails within a second.
 */
async function download(options: InstallOptions, folder: string): Promise<void> {
  const testing = findDevPackage('@temporalio/testing');
  if (testing === undefined) {
    throw new Error(
      `@temporalio/testing, which downloads it, is not installed (${installCommand(['@temporalio/testing'])})`,
    );
  }
  const args = ['-e', DOWNLOAD, testing, folder, `v${TEMPORAL_VERSION}`];
  await runSlowly(options, `Downloading the Temporal CLI ${TEMPORAL_VERSION}`, process.execPath, args, {}, DOWNLOAD_MS);
}

async function build(options: InstallOptions, go: string, folder: string): Promise<void> {
  const args = ['install', `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_VERSION}`];
  const what = `Building the Temporal CLI ${TEMPORAL_VERSION} with Go (about three minutes on two cores, once)`;
  await runSlowly(options, what, go, args, { GOBIN: folder }, BUILD_MS);
}

/**
 * One process at a time. A lock whose process is gone is taken over; should two take it over in the same instant, both
 * work and the later rename wins, which is harmless.
 *
 * @returns how to unlock
 */
async function lock(path: string, log: (message: string) => void): Promise<() => Promise<void>> {
  // Linked into place, so that a lock never lacks its pid.
  const mine = `${path}.${randomUUID()}`;
  await writeFile(mine, String(process.pid));
  try {
    for (let waited = false; ; waited = true) {
      try {
        await link(mine, path);
        return () => rm(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10);
      if (!isAlive(holder)) {
        await rm(path, { force: true });
        continue;
      }
      if (!waited) log(`Process ${holder} is getting the Temporal CLI; waiting for it (if it is not, remove ${path}).`);
      await delay(200);
    }
  } finally {
    await rm(mine, { force: true });
  }
}

async function runSlowly(
  options: InstallOptions,
  what: string,
  command: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv,
  limitMs: number,
): Promise<void> {
  const started = Date.now();
  options.log(`${what} …`);
  const work = startProcess({
    command,
    args,
    env: { ...options.env, ...more },
    signal: 'SIGTERM',
    graceMs: 2_000,
    // The compiler starts others, the download a server.
    group: true,
  });
  const progress = setInterval(() => {
    options.log(`${what} … ${Math.round((Date.now() - started) / 1000)} s`);
  }, PROGRESS_MS);
  const limit = setTimeout(() => void work.stop(), limitMs);
  const end = await work.ended;
  clearInterval(progress);
  clearTimeout(limit);
  if (end === 'exit code 0') return;
  const output = work.output().trim().split('\n').slice(-3).join(' ').slice(-400);
  throw new Error(output === '' ? end : output);
}
