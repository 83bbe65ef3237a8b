/** A policy bundle: the files that decide, under one digest. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CountersignError } from '../action/errors.js';
import { digest, type Digest } from '../action/json.js';
import { policyInvalid, type BundleProblem } from './problems.js';
import { readRules, SCHEMA_FILE, type Rule } from './rules.js';

const MAX_FILE_BYTES = 1024 * 1024;
const POLICY_FILE = /^[A-Za-z0-9][A-Za-z0-9._-]*\.cedar$/;
const BUNDLE_FILE =
  /^([A-Za-z0-9][A-Za-z0-9._-]*\.cedar|schema\.cedarschema|limits\.yaml|tests\/[A-Za-z0-9][A-Za-z0-9._-]*\.yaml)$/;
const BESIDE = /^\.|~$|\.md$/;
const NAMES = `*.cedar, ${SCHEMA_FILE}, limits.yaml and tests/*.yaml`;

export interface PolicyBundle {
  /** Text by path (`roles.cedar`, `tests/matrix.yaml`), with line ends as LF. */
  readonly files: Readonly<Record<string, string>>;
  /** Over the canonical JSON (RFC 8785) of `files`. */
  readonly digest: Digest;
}

const rulesOf = new WeakMap<PolicyBundle, readonly Rule[]>();

/** The policies of a bundle, parsed and validated; once per bundle. @throws CountersignError POLICY_INVALID */
export function bundleRules(bundle: PolicyBundle): readonly Rule[] {
  const known = rulesOf.get(bundle);
  if (known !== undefined) return known;
  const own = bundleFromFiles(bundle.files);
  if (own.digest !== bundle.digest) {
    throw new CountersignError(
      'POLICY_INVALID',
      `The bundle's files have the digest ${own.digest}, not ${bundle.digest}.`,
      {
        field: 'bundle.digest',
        expected: own.digest,
        fix: 'The stored bundle was altered: load the policy again from its folder.',
      },
    );
  }
  return bundleRules(own);
}

/**
 * A bundle from the texts of its files, as the ledger stores them.
 *
 * @throws CountersignError POLICY_INVALID: a file is unknown, too large or not text; the schema or every policy is missing; a policy
 *   does not parse, does not fit the schema, or has annotations that mean nothing. The message names file, line and column.
 */
export function bundleFromFiles(files: Readonly<Record<string, string>>): PolicyBundle {
  const problems: BundleProblem[] = [];
  const texts: Record<string, string> = {};
  for (const [path, text] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const problem = fileProblem(path, text);
    if (problem === undefined) texts[path] = text.replaceAll('\r\n', '\n');
    else problems.push(problem);
  }
  if (!Object.keys(files).some((path) => POLICY_FILE.test(path))) {
    problems.push({ at: 'the folder', message: 'it has no policies', fix: 'Add at least one *.cedar file.' });
  }
  if (!Object.hasOwn(files, SCHEMA_FILE)) {
    problems.push({ at: SCHEMA_FILE, message: 'it is missing', fix: 'Copy it from the starter bundle.' });
  }
  const [first, ...others] = problems;
  if (first !== undefined) throw policyInvalid([first, ...others]);
  const bundle: PolicyBundle = Object.freeze({ files: Object.freeze(texts), digest: digest(texts) });
  rulesOf.set(bundle, readRules(policyFiles(texts), texts[SCHEMA_FILE] ?? ''));
  return bundle;
}

function policyFiles(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([path]) => POLICY_FILE.test(path)));
}

function fileProblem(path: string, text: unknown): BundleProblem | undefined {
  if (!BUNDLE_FILE.test(path)) {
    return { at: path, message: 'it is no file of a policy bundle', expected: NAMES, fix: 'Rename it or take it out.' };
  }
  if (typeof text !== 'string' || !text.isWellFormed() || text.includes('\u0000')) {
    return { at: path, message: 'it is not text', expected: 'UTF-8 text without NUL', fix: 'Save the file as UTF-8.' };
  }
  return Buffer.byteLength(text, 'utf8') > MAX_FILE_BYTES ? tooLarge(path) : undefined;
}

function tooLarge(path: string): BundleProblem {
  return { at: path, message: 'it is over 1 MiB', expected: 'at most 1 MiB a file', fix: 'Split the file.' };
}

/**
 * Reads, checks and validates the bundle in a folder.
 *
 * Read are `*.cedar`, `schema.cedarschema`, `limits.yaml` and `tests/*.yaml`. Names that start with a dot or end in `~` or `.md` are
 * left alone; anything else is refused, so that no policy is overlooked because of its name or place. Links are followed within the
 * folder only.
 *
 * @throws CountersignError POLICY_INVALID, as `bundleFromFiles`; retryable when the folder changed while it was read
 */
export async function loadBundle(folder: string): Promise<PolicyBundle> {
  return (await readFolder(folder)).load();
}

/** What is cheap to compare: changes whenever a file of the folder does. */
export async function folderFingerprint(folder: string): Promise<string> {
  return fingerprint(await listFiles(folder));
}

export interface FolderRead {
  readonly fingerprint: string;
  /** @throws CountersignError POLICY_INVALID */
  load(): PolicyBundle;
}

const READ_ATTEMPTS = 3;

/** Reads the folder in one consistent state: the files are listed before and after, and must be the same. */
export async function readFolder(folder: string): Promise<FolderRead> {
  for (let attempt = 1; ; attempt++) {
    const before = await listFiles(folder);
    const files: Record<string, string> = {};
    for (const file of before) files[file.path] = await readText(file);
    const seen = fingerprint(before);
    if (seen === fingerprint(await listFiles(folder))) return { fingerprint: seen, load: () => bundleFromFiles(files) };
    if (attempt === READ_ATTEMPTS) {
      throw new CountersignError('POLICY_INVALID', `${folder} keeps changing while it is read.`, {
        field: folder,
        fix: 'Let the writing end, then reload.',
        retryable: true,
      });
    }
  }
}

interface BundleFile {
  readonly path: string;
  readonly real: string;
  readonly stamp: string;
}

function fingerprint(files: readonly BundleFile[]): string {
  return JSON.stringify(files.map((file) => [file.path, file.stamp]));
}

async function listFiles(folder: string): Promise<readonly BundleFile[]> {
  try {
    const root = await realpath(folder);
    const names = (await readdir(root)).filter((name) => !BESIDE.test(name));
    const files: BundleFile[] = [];
    for (const name of names.sort()) {
      const entry = await inside(root, name);
      if (!entry.stats.isDirectory()) files.push(bundleFile(name, entry));
      else if (name === 'tests') files.push(...(await listTests(root)));
      else throw policyInvalid([unknownEntry(`${name}/`)]);
    }
    return files;
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : 'it cannot be read';
    throw policyInvalid([{ at: folder, message: why, fix: 'Name a folder that holds a policy bundle.' }], error);
  }
}

async function listTests(root: string): Promise<readonly BundleFile[]> {
  const names = (await readdir(join(root, 'tests'))).filter((name) => !BESIDE.test(name));
  return Promise.all(
    names.sort().map(async (name) => bundleFile(`tests/${name}`, await inside(root, `tests/${name}`))),
  );
}

type Entry = { readonly real: string; readonly stats: Awaited<ReturnType<typeof statExact>> };

const statExact = (path: string) => stat(path, { bigint: true });

async function inside(root: string, path: string): Promise<Entry> {
  const real = await realpath(join(root, path));
  if (!real.startsWith(root + sep)) {
    throw policyInvalid([
      { at: path, message: 'it is a link that leads out of the folder', fix: 'Copy the file into the folder.' },
    ]);
  }
  return { real, stats: await statExact(real) };
}

function bundleFile(path: string, { real, stats }: Entry): BundleFile {
  if (!BUNDLE_FILE.test(path) || !stats.isFile()) throw policyInvalid([unknownEntry(path)]);
  if (stats.size > MAX_FILE_BYTES) throw policyInvalid([tooLarge(path)]);
  return { path, real, stamp: `${stats.ino}.${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}` };
}

function unknownEntry(path: string): BundleProblem {
  return {
    at: path,
    message: 'a policy bundle has no such file',
    expected: NAMES,
    fix: 'Rename it, move it out of the folder, or start its name with a dot to leave it aside.',
  };
}

async function readText(file: BundleFile): Promise<string> {
  const bytes = await readFile(file.real);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw policyInvalid([{ at: file.path, message: 'it is not UTF-8 text', fix: 'Save the file as UTF-8.' }], error);
  }
}
