/** Reads a policy bundle from a folder, in one consistent state, and detects changes of the folder cheaply. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CountersignError } from '../action/errors.js';
import {
  BUNDLE_FILE,
  BUNDLE_FILE_NAMES,
  bundleFromFiles,
  MAX_FILE_BYTES,
  tooLarge,
  type PolicyBundle,
} from './bundle.js';
import { policyInvalid, type BundleProblem } from './problems.js';

const BESIDE = /^\.|~$|\.md$/;
const READ_ATTEMPTS = 3;

/**
 * Reads, checks and validates the bundle in a folder.
 *
 * It reads `*.cedar`, `schema.cedarschema`, `limits.yaml`, `history.yaml` and `tests/*.yaml`. Names that start with a dot or end in `~` or `.md` are
 * ignored. Anything else is refused, so that no policy is overlooked because of its name or place. Links are followed only within the
 * folder.
 *
 * @throws CountersignError POLICY_INVALID, as `bundleFromFiles`; retryable when the folder changed while it was read
 */
export async function loadBundle(folder: string): Promise<PolicyBundle> {
  return (await readFolder(folder)).load();
}

/** A text that differs whenever a file of the folder differs, cheap to compute. For a folder that cannot be listed, it is the error. */
export async function folderFingerprint(folder: string): Promise<string> {
  return listFiles(folder).then(fingerprint, (error: unknown) => String(error));
}

export interface FolderRead {
  /** The fingerprint, as of `folderFingerprint`, of exactly what was read. */
  readonly fingerprint: string;
  /** Makes a bundle of the files. @throws CountersignError POLICY_INVALID */
  load(): PolicyBundle;
}

/**
 * Reads the folder in one consistent state: its files are listed before and after, and must be the same.
 *
 * @throws CountersignError POLICY_INVALID when it cannot be listed; retryable when it keeps changing
 */
export async function readFolder(folder: string): Promise<FolderRead> {
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
    const before = await listFiles(folder);
    const current = fingerprint(before);
    const contents: [string, Buffer][] = [];
    for (const { path, real } of before) contents.push([path, await orMissing(path, readFile(real))]);
    if (current === (await folderFingerprint(folder)))
      return { fingerprint: current, load: () => bundleFromBytes(contents) };
  }
  throw new CountersignError('POLICY_INVALID', `${folder} keeps changing while it is read.`, {
    field: folder,
    fix: 'Let the writing end, then reload.',
    retryable: true,
  });
}

function bundleFromBytes(contents: readonly (readonly [string, Buffer])[]): PolicyBundle {
  return bundleFromFiles(Object.fromEntries(contents.map(([path, bytes]) => [path, decode(path, bytes)])));
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw policyInvalid([{ at: path, message: 'it is not UTF-8 text', fix: 'Save the file as UTF-8.' }], error);
  }
}

interface ListedFile {
  readonly path: string;
  readonly real: string;
  readonly stamp: string;
}

function fingerprint(files: readonly ListedFile[]): string {
  return JSON.stringify(files.map((file) => [file.path, file.stamp]));
}

async function listFiles(folder: string): Promise<readonly ListedFile[]> {
  const root = await orMissing(folder, realpath(folder));
  const files: ListedFile[] = [];
  for (const name of await listNames(folder, root)) {
    const entry = await inside(root, name);
    if (!entry.stats.isDirectory()) files.push(listed(name, entry));
    else if (name === 'tests') {
      for (const test of await listNames(name, entry.real)) {
        files.push(listed(`tests/${test}`, await inside(root, `tests/${test}`)));
      }
    } else throw policyInvalid([unknownEntry(`${name}/`)]);
  }
  return files;
}

async function listNames(path: string, real: string): Promise<readonly string[]> {
  return (await orMissing(path, readdir(real))).filter((name) => !BESIDE.test(name)).sort();
}

/** Turns file system errors into POLICY_INVALID: a file may vanish while it is read, a link may be broken, a path may be no folder. */
async function orMissing<Value>(path: string, reading: Promise<Value>): Promise<Value> {
  return reading.catch((error: unknown) => {
    const problem = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : 'it cannot be read';
    throw policyInvalid([{ at: path, message: problem, fix: 'Name a folder that holds a policy bundle.' }], error);
  });
}

type Entry = { readonly real: string; readonly stats: Awaited<ReturnType<typeof statExact>> };

const statExact = (path: string) => stat(path, { bigint: true });

async function inside(root: string, path: string): Promise<Entry> {
  const real = await orMissing(path, realpath(join(root, path)));
  if (!real.startsWith(root + sep)) {
    throw policyInvalid([
      { at: path, message: 'it is a link that leads out of the folder', fix: 'Copy the file into the folder.' },
    ]);
  }
  return { real, stats: await orMissing(path, statExact(real)) };
}

function listed(path: string, { real, stats }: Entry): ListedFile {
  if (!BUNDLE_FILE.test(path) || !stats.isFile()) throw policyInvalid([unknownEntry(path)]);
  if (stats.size > MAX_FILE_BYTES) throw policyInvalid([tooLarge(path)]);
  return { path, real, stamp: `${stats.ino}.${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}` };
}

function unknownEntry(path: string): BundleProblem {
  return {
    at: path,
    message: 'a policy bundle has no such file',
    expected: BUNDLE_FILE_NAMES,
    fix: 'Rename it, move it out of the folder, or start its name with a dot to leave it aside.',
  };
}
