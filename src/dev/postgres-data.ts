/** The folder that holds an embedded Postgres' data: made whole or not at all, and served by one process at a time. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CountersignError } from '../action/errors.js';
import { startProcess } from './child.js';
import { servedBy, stillServedBy } from './data-folder.js';
import type { PostgresBinaries, RunAs } from './postgres-binaries.js';
import { guard } from './watchdog.js';

const run = promisify(execFile);

/** The superuser. */
export const USER = 'postgres';
/** What the data folder's PG_VERSION must say. */
const MAJOR = '18';
/** Within the data, so that data and password come and go together. */
const PASSWORD_FILE = 'superuser.password';

/** How a server process is told where its data are. */
export interface DataFolder {
  /** The value of `-D`. */
  readonly argument: string;
  readonly cwd: string;
}

export interface PostgresData {
  /** Of the superuser. */
  readonly password: string;
  readonly place: DataFolder;
}

/**
 * Opens the data in `folder`, and makes them when there are none.
 *
 * @param folder a folder of its own, that exists
 * @param scratch a folder that `runAs` can pass through, for what must be gone afterwards
 * @throws CountersignError CONFIG_INVALID when the folder cannot be used or is in use; LEDGER_UNAVAILABLE when setting up fails
 */
export async function openData(
  folder: string,
  runAs: RunAs,
  binaries: PostgresBinaries,
  scratch: string,
): Promise<PostgresData> {
  // The real path, because the pid check compares it with what the system says of a process.
  const data = join(await realpath(folder), 'data');
  if ((await versionOf(data)) === undefined) await initialise(data, runAs, binaries, scratch);
  const version = await versionOf(data);
  if (version !== MAJOR) throw unusable(data, `its data are of Postgres ${version ?? 'no version'}, not ${MAJOR}`);
  const password = await readFile(join(data, PASSWORD_FILE), 'utf8').catch((error: unknown) => {
    throw unusable(data, `its ${PASSWORD_FILE} cannot be read`, error);
  });
  await clearStalePid(data);
  return { password, place: await placeOf(data, runAs) };
}

async function versionOf(data: string): Promise<string | undefined> {
  return await readFile(join(data, 'PG_VERSION'), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** Made beside and renamed, so that a run killed halfway leaves nothing that looks whole, and of two at once one wins. */
async function initialise(data: string, runAs: RunAs, binaries: PostgresBinaries, scratch: string): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  const passwordFile = join(scratch, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  await give(passwordFile, runAs);
  const making = await mkdtemp(`${data}-making-`).catch((error: unknown) => {
    throw unusable(data, 'it cannot be made', error);
  });
  const release = guard({ folder: making });
  try {
    await give(making, runAs);
    const { argument, cwd } = await placeOf(making, runAs);
    const initdb = startProcess({
      command: binaries.initdb,
      args: [
        `--pgdata=${argument}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // Independent of the machine's locales: text sorts the same everywhere.
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-sync',
        '--no-instructions',
      ],
      cwd,
      ...runAs,
      signal: 'SIGTERM',
      graceMs: 2_000,
    });
    const end = await initdb.ended;
    if (end !== 'exit code 0') throw setUpFailed(data, end, initdb.output());
    await rename(passwordFile, join(making, PASSWORD_FILE)).catch(() =>
      // On another file system.
      writeFile(join(making, PASSWORD_FILE), password, { mode: 0o600 }),
    );
    await rename(making, data).catch(async (error: unknown) => {
      if ((await versionOf(data)) === undefined) throw unusable(data, 'it cannot be made', error);
    });
  } finally {
    await rm(making, { recursive: true, force: true });
    release();
    await rm(passwordFile, { force: true });
  }
}

async function give(path: string, to: RunAs): Promise<void> {
  if (to.uid !== undefined && to.gid !== undefined) await chown(path, to.uid, to.gid);
}

/**
 * Started by root below a folder that only root enters (`/root`), the server's user owns the data but has no way there. On Linux
 * we set it down inside, and it calls the place by that.
 */
async function placeOf(data: string, runAs: RunAs): Promise<DataFolder> {
  if (runAs.uid === undefined || platform() !== 'linux') return { argument: data, cwd: '/' };
  const reached = await run('/bin/sh', ['-c', 'cd "$1"', 'sh', data], { ...runAs, cwd: '/' }).then(
    () => true,
    () => false,
  );
  return reached ? { argument: data, cwd: '/' } : { argument: '/proc/self/cwd', cwd: data };
}

/** A crash leaves the pid file behind; when its pid belongs to another process by now, Postgres would refuse to start for good. */
async function clearStalePid(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = await stillServedBy(pidFile, data);
  if (pid !== undefined) throw unusable(data, `process ${pid} serves it`);
  const left = await readFile(pidFile, 'utf8').catch(() => undefined);
  // Left to Postgres to judge when it might be one: the folder may have been given by another path.
  if (left !== undefined && (await servedBy(pidFile, 'postgres')) === undefined) await rm(pidFile, { force: true });
}

function setUpFailed(data: string, end: string, output: string): CountersignError {
  const why = `${lastLine(output)} (${end})`;
  if (/permission denied/i.test(output)) return unusable(data, `Postgres may not use it: ${why}`, output);
  return new CountersignError('LEDGER_UNAVAILABLE', `The embedded Postgres could not be set up: ${why}`, {
    fix: 'See the cause; or set DATABASE_URL to a Postgres of yours.',
    cause: output,
  });
}

/** The line that says most: the last that is an error, else the last. */
export function lastLine(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines.findLast((line) => /FATAL|error/i.test(line)) ?? lines.at(-1) ?? 'it wrote nothing';
}

export function unusable(folder: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('CONFIG_INVALID', `The Postgres data folder ${folder} cannot be used: ${why}.`, {
    field: 'dataDir',
    expected: 'a folder of its own, that no running Postgres serves',
    fix: 'Stop the other run, or choose another folder.',
    cause,
  });
}
