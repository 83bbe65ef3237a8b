/** Virtual environments of Python in the cache folder, with every package pinned: made where they are not yet. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/dev/temporal-binary.js';

const run = promisify(execFile);

/** Installs a hundred packages in two seconds, where pip takes fifty. */
const UV = 'uv==0.13.8';

function missing(script: string): string {
  return [
    `${script} needs Python 3.11 or later with its module venv, and there is none: \`python3\` does not start.`,
    'Install it (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python3), or name one in PYTHON.',
    "CI's images have it: it is the only thing besides Node that the job asks for.",
  ].join('\n');
}

/** Where a Python is, and which one: what is installed for one is of no use to another. */
interface Interpreter {
  readonly executable: string;
  readonly version: string;
}

async function interpreter(script: string): Promise<Interpreter> {
  const ask = 'import sys, venv; print(sys.executable); print(sys.version); sys.exit(sys.version_info < (3, 11))';
  const { stdout } = await run(process.env['PYTHON'] ?? 'python3', ['-c', ask]).catch((cause: unknown) => {
    throw new Error(missing(script), { cause });
  });
  const [executable = '', ...version] = stdout.split('\n');
  return { executable, version: version.join(' ') };
}

/**
 * @param requirements a file that names every package with its version, those that others need too
 * @returns the folder of its programs, `uv` among them. @throws Error that says what to install, where Python is missing
 */
export async function virtualEnvironment(name: string, requirements: string, script: string): Promise<string> {
  const python = await interpreter(script);
  const wanted = `${await readFile(requirements, 'utf8')}\n${python.version}\n${UV}`;
  const folder = await inCache(`${name}-${digest(wanted)}`, async (made) => {
    const uv = path.join(await uvFor(python), 'bin/uv');
    // Relocatable, because it is moved to its place once it is complete.
    await run(uv, ['venv', '--quiet', '--no-project', '--relocatable', '--python', python.executable, made]);
    const options = ['--quiet', '--no-deps', '--python', path.join(made, 'bin/python')];
    await run(uv, ['pip', 'install', ...options, '--requirement', requirements, UV], { timeout: 550_000 });
  });
  return path.join(folder, 'bin');
}

/** pip installs uv, in an environment of its own, once for all the others. */
async function uvFor({ executable, version }: Interpreter): Promise<string> {
  return inCache(`uv-${digest(`${UV}\n${version}`)}`, async (made) => {
    await run(executable, ['-m', 'venv', made]);
    await run(path.join(made, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '--no-deps', UV]);
  });
}

/** Made beside its place and moved there when it is complete: another process may make the same, and this one may be ended. */
async function inCache(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const cache = cacheFolder(process.env);
  const place = path.join(cache, name);
  if (existsSync(place)) return place;
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(path.join(cache, `.${name}-`));
  try {
    await make(made);
    await rename(made, place).catch((error: unknown) => {
      if (!existsSync(place)) throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return place;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
