/** Virtual environments of Python in the cache folder, with every package pinned: made where they are not yet. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/dev/temporal-binary.js';

const run = promisify(execFile);

function missing(script: string): string {
  return [
    `${script} needs Python 3.11 or later with its module venv, and there is none: \`python3\` does not start.`,
    'Install it (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python3), or name one in PYTHON.',
    "CI's images have it: it is the only thing besides Node that the job asks for.",
  ].join('\n');
}

/**
 * @param requirements a file that names every package with its version, those that others need too
 * @returns the folder of its programs. @throws Error that says what to install, where Python is missing
 */
export async function virtualEnvironment(name: string, requirements: string, script: string): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const folder = path.join(cacheFolder(process.env), `${name}-${version}`);
  const programs = path.join(folder, 'bin');
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return programs;
  const python = process.env['PYTHON'] ?? 'python3';
  await run(python, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 11))']).catch((cause: unknown) => {
    throw new Error(missing(script), { cause });
  });
  // Made where it stays, because its scripts name the folder; one that was left behind half made is made anew.
  await mkdir(path.dirname(folder), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await run(python, ['-m', 'venv', folder]);
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--requirement', requirements];
  await run(path.join(programs, 'pip'), ['install', ...options], { timeout: 550_000 });
  await writeFile(complete, '');
  return programs;
}
