/** Files that hold keys: read whole, refused where others can read them, and never seen half written. */
import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import { keysInvalid } from './ed25519.js';

/** A key file of 128 keys is far below this; anything longer is not a key file. */
const MAX_FILE_BYTES = 64 * 1024;

/** @throws CountersignError KEYS_MISSING (no such file) or KEYS_INVALID */
export async function readSecretFile(path: string): Promise<{ text: string; mode: number; uid: number }> {
  try {
    // One handle for both, so that what was checked is what was read.
    const file = await open(path, 'r');
    try {
      const { mode, size, uid } = await file.stat();
      if (size > MAX_FILE_BYTES) throw keysInvalid(`${path} is too long for a key file`, { field: path });
      return { text: await file.readFile('utf8'), mode, uid };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CountersignError(missing ? 'KEYS_MISSING' : 'KEYS_INVALID', `${path} cannot be read`, {
      field: path,
      expected: 'a readable key file',
      fix: 'Check the path and its permissions.',
      cause: error,
    });
  }
}

/**
 * Refuses a file of private keys that others can read.
 *
 * @param otherwise the variable that takes the keys where a mode cannot be set
 * @throws CountersignError KEYS_INVALID
 */
export function refuseOpenFile(path: string, file: FileOwnership, otherwise: string): void {
  const { mode } = file;
  // Windows has no such mode bits: node reports made-up ones.
  if (process.platform === 'win32' || !isOpenToOthers(file, process.getuid?.())) return;
  throw keysInvalid(
    `${path} holds private keys and is open to others (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
    {
      field: path,
      expected: "mode 0600 or 0400; 0440 where it is root's and this process is not",
      fix: `Run \`chmod 600\` on it; where that cannot be, pass the keys in ${otherwise}.`,
    },
  );
}

interface FileOwnership {
  readonly mode: number;
  readonly uid: number;
}

/**
 * Whether others than this process (and root) may read or change a file. Orchestrators mount secrets as root's, and let the process in by a
 * group of its own (mode 0440): Kubernetes cannot give such a file to a process that is not root in any other way.
 */
export function isOpenToOthers({ mode, uid }: FileOwnership, ownUid: number | undefined): boolean {
  const mounted = uid === 0 && ownUid !== 0;
  return (mode & (mounted ? 0o037 : 0o077)) !== 0;
}

/** Writes the file under another name, to be put in its place whole. */
export async function throughDraft(
  path: string,
  content: object,
  put: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await put(draft);
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}
