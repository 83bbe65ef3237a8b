/** Schemathesis (https://schemathesis.io) in a virtual environment of its own, with every package pinned, in the cache folder. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/dev/temporal-binary.js';

const run = promisify(execFile);

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));

const MISSING = [
  'check:api needs Python 3.11 or later with its module venv, and there is none: `python3` does not start.',
  'Install it (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python3), or name one in PYTHON.',
  "CI's images have it: it is the only thing besides Node that the job asks for.",
].join('\n');

/** The program `st`, installed where it is not yet. @throws Error that says what to install, where Python is missing */
export async function schemathesis(): Promise<string> {
  const requirements = await readFile(REQUIREMENTS);
  const version = createHash('sha256').update(requirements).digest('hex').slice(0, 12);
  const folder = path.join(cacheFolder(process.env), `schemathesis-${version}`);
  const program = path.join(folder, 'bin', 'st');
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return program;
  const python = process.env['PYTHON'] ?? 'python3';
  await run(python, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 11))']).catch((cause: unknown) => {
    throw new Error(MISSING, { cause });
  });
  // Made where it stays, because its scripts name the folder; one that was left behind half made is made anew.
  await mkdir(path.dirname(folder), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await run(python, ['-m', 'venv', folder]);
  const pip = path.join(folder, 'bin', 'pip');
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--requirement', REQUIREMENTS];
  await run(pip, ['install', ...options], { timeout: 300_000 });
  await writeFile(complete, '');
  return program;
}
