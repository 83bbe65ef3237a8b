/** Files that are made together or not at all, and never in the place of another. */
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CountersignError } from '../action/errors.js';

export interface NewFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly text: string;
  /** Only its owner may read it. */
  readonly secret?: boolean;
}

/** What was done so far, and how to undo it. */
export class Undoing {
  readonly #steps: (() => Promise<unknown>)[] = [];

  add(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** The latest first. One step that fails does not keep the others. */
  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) await step().catch(() => undefined);
  }
}

/** @throws CountersignError FILES_EXIST, naming all of them */
export async function refuseExisting(folder: string, names: readonly string[]): Promise<void> {
  const there = await Promise.all(names.map((name) => isThere(path.join(folder, name))));
  const existing = names.filter((_, at) => there[at]);
  if (existing.length > 0) throw filesExist(folder, existing);
}

function filesExist(folder: string, names: readonly string[]): CountersignError {
  return new CountersignError('FILES_EXIST', `In ${folder} there is already: ${names.join(', ')}.`, {
    field: '--dir',
    expected: 'a folder without these files, which init makes and never replaces',
    fix: 'Move them away, or name another folder with --dir.',
  });
}

/** Whatever it is, a link that leads nowhere too. */
async function isThere(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  );
}

/** @throws CountersignError USAGE when it cannot be made */
export async function makeFolder(folder: string, undoing: Undoing, mode = 0o755): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true, mode });
    if (first !== undefined) undoing.add(() => rm(first, { recursive: true, force: true }));
  } catch (error) {
    throw unwritable(folder, error);
  }
}

/** @throws CountersignError FILES_EXIST, USAGE */
export async function writeNewFile(folder: string, file: NewFile, undoing: Undoing): Promise<void> {
  const target = path.join(folder, file.name);
  await makeFolder(path.dirname(target), undoing);
  try {
    await writeFile(target, file.text, { flag: 'wx', mode: file.secret === true ? 0o600 : 0o644 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw filesExist(folder, [file.name]);
    throw unwritable(target, error);
  }
  undoing.add(() => rm(target, { force: true }));
}

/** Adds what `.gitignore` lacks of these lines; makes the file where there is none. @throws CountersignError USAGE */
export async function ignoreInGit(folder: string, lines: readonly string[], undoing: Undoing): Promise<boolean> {
  const file = path.join(folder, '.gitignore');
  try {
    const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    const missing = notIgnored(before ?? '', lines);
    if (missing.length === 0) return false;
    undoing.add(() => (before === undefined ? rm(file, { force: true }) : writeFile(file, before)));
    const gap = before === undefined || before === '' || before.endsWith('\n') ? '' : '\n';
    await writeFile(file, `${before ?? ''}${gap}${missing.join('\n')}\n`);
    return true;
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** The last line that matches counts in git: one that takes something out again makes what stands before it uncertain. */
function notIgnored(text: string, wanted: readonly string[]): readonly string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const certain = lines.slice(lines.findLastIndex((line) => line.startsWith('!')) + 1);
  return wanted.filter((line) => !certain.includes(line));
}

function unwritable(place: string, cause: unknown): CountersignError {
  const { code } = cause as NodeJS.ErrnoException;
  return new CountersignError('USAGE', `${place} cannot be written${code === undefined ? '' : ` (${code})`}.`, {
    field: '--dir',
    expected: 'a folder that can be written',
    fix: 'Name another folder with --dir, or change its permissions.',
    cause,
  });
}
