/** The Temporal CLI, whose `server start-dev` is the development server: found, downloaded or built. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { homedir, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CountersignError } from '../action/errors.js';
import { installTemporal, TEMPORAL_VERSION } from './temporal-install.js';

const run = promisify(execFile);

/** The oldest server whose update-with-start is on without being asked for: major and minor version. */
const OLDEST_SERVER = [1, 28] as const;

export interface TemporalBinary {
  readonly path: string;
  /** What `--version` printed. */
  readonly version: string;
  readonly source: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache' | 'download' | 'build';
}

export interface FindOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What is happening, for people. */
  readonly log: (message: string) => void;
}

/** COUNTERSIGN_CACHE, else `countersign` in XDG_CACHE_HOME, else `~/.cache/countersign`. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env['COUNTERSIGN_CACHE']) return env['COUNTERSIGN_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'countersign');
}

/**
 * Finds a Temporal CLI that works, in this order: TEMPORAL_CLI_PATH, `temporal` on PATH, our cache, the Temporal SDK's download
 * (kept in the cache), a build with Go (three minutes on two cores, once; kept in the cache).
 *
 * @throws CountersignError TEMPORAL_UNAVAILABLE when TEMPORAL_CLI_PATH does not work, or when nothing does: with what to install
 */
export async function findTemporal(options: FindOptions): Promise<TemporalBinary> {
  const { env, log } = options;
  const named = env['TEMPORAL_CLI_PATH'];
  if (named) return { path: named, version: await checkNamed(named), source: 'TEMPORAL_CLI_PATH' };

  const tried: string[] = [];
  const usable = async (path: string): Promise<string | undefined> => {
    try {
      return await check(path);
    } catch (error) {
      tried.push(`${path}: ${(error as Error).message}`);
      log(`Skipping ${path}: ${(error as Error).message}.`);
      return undefined;
    }
  };

  for (const path of await onPath('temporal', env)) {
    const version = await usable(path);
    if (version !== undefined) return { path, version, source: 'PATH' };
  }

  const cached = cachedBinary(env);
  if (await isExecutable(cached)) {
    const version = await usable(cached);
    if (version !== undefined) return { path: cached, version, source: 'cache' };
  }

  const go = (await onPath('go', env))[0];
  try {
    return { path: cached, ...(await installTemporal({ target: cached, go, env, log, check })) };
  } catch (error) {
    throw nothingFound([...tried, (error as Error).message], go !== undefined, error);
  }
}

/** Whether only a download could bring the CLI: there is none on this machine, and no Go to build it with. */
export async function needsDownload(env: NodeJS.ProcessEnv): Promise<boolean> {
  if (env['TEMPORAL_CLI_PATH']) return false;
  const [named, built] = await Promise.all([onPath('temporal', env), onPath('go', env)]);
  return named.length === 0 && built.length === 0 && !(await isExecutable(cachedBinary(env)));
}

function cachedBinary(env: NodeJS.ProcessEnv): string {
  const suffix = platform() === 'win32' ? '.exe' : '';
  return join(cacheFolder(env), 'bin', `temporal-${TEMPORAL_VERSION}${suffix}`);
}

/** @returns what `--version` prints. @throws Error with why it cannot be used */
async function check(path: string): Promise<string> {
  let printed: string;
  try {
    printed = (await run(path, ['--version'], { timeout: 60_000 })).stdout.trim();
  } catch (error) {
    throw new Error(`it does not run (${firstLine((error as Error).message)})`, { cause: error });
  }
  const server = /^temporal version .*\(Server (\d+)\.(\d+)\./.exec(printed);
  if (server === null)
    throw new Error(`it is not the Temporal CLI (--version printed ${JSON.stringify(printed.slice(0, 80))})`);
  const [major, minor] = [Number(server[1]), Number(server[2])];
  if (major < OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor < OLDEST_SERVER[1])) {
    throw new Error(`its server ${major}.${minor} is older than ${OLDEST_SERVER.join('.')}`);
  }
  return printed;
}

async function checkNamed(path: string): Promise<string> {
  try {
    return await check(path);
  } catch (error) {
    throw new CountersignError(
      'TEMPORAL_UNAVAILABLE',
      `TEMPORAL_CLI_PATH names ${path}, which cannot be used: ${(error as Error).message}.`,
      {
        field: 'TEMPORAL_CLI_PATH',
        expected: `the path of a Temporal CLI with server ${OLDEST_SERVER.join('.')} or later`,
        fix: 'Correct TEMPORAL_CLI_PATH, or unset it to have one found.',
        cause: error,
      },
    );
  }
}

function nothingFound(tried: readonly string[], hadGo: boolean, cause: unknown): CountersignError {
  const how = hadGo ? '' : ' Or install Go 1.25 or later (https://go.dev/dl), with which Countersign builds it.';
  return new CountersignError(
    'TEMPORAL_UNAVAILABLE',
    `There is no Temporal server to use. Tried: ${tried.join('; ')}.`,
    {
      field: 'TEMPORAL_CLI_PATH',
      expected: `the Temporal CLI ${TEMPORAL_VERSION} on PATH, or the address of a running server in TEMPORAL_ADDRESS`,
      fix:
        'Install the Temporal CLI (https://docs.temporal.io/cli/setup-cli: `brew install temporal`, or the archive for your system), ' +
        `or set TEMPORAL_ADDRESS to a running server.${how}`,
      cause,
    },
  );
}

async function onPath(program: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const suffixes = platform() === 'win32' ? (env['PATHEXT'] ?? '.EXE;.CMD').split(';') : [''];
  const candidates = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .flatMap((folder) => suffixes.map((suffix) => join(folder, program + suffix)));
  const found = await Promise.all(candidates.map(isExecutable));
  return candidates.filter((_, i) => found[i]);
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
