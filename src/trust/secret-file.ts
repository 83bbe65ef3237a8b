/** Files that hold keys: read whole, refused where others can read them, and never seen half written. */
import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import { keysInvalid } from './ed25519.js';

/** A key file of 128 keys is far below this; anything longer is not a key file. */
const MAX_FILE_BYTES = 64 * 1024;

/** @throws CountersignError KEYS_MISSING (no such file) or KEYS_INVALID */
export async function readSecretFile(path: string): Promise<{ text: string; mode: number }> {
  try {
    // One handle for both, so that what was checked is what was read.
    const file = await open(path, 'r');
    try {
      const { mode, size } = await file.stat();
      if (size > MAX_FILE_BYTES) throw keysInvalid(`${path} is too long for a key file`, { field: path });
      return { text: await file.readFile('utf8'), mode };
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
export function refuseOpenFile(path: string, mode: number, otherwise: string): void {
  // Windows has no such mode bits: node reports made-up ones.
  if (process.platform === 'win32' || (mode & 0o077) === 0) return;
  throw keysInvalid(
    `${path} holds private keys and is open to others (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
    {
      field: path,
      expected: 'mode 0600 or 0400',
      fix: `Run \`chmod 600\` on it; where that cannot be, pass the keys in ${otherwise}.`,
    },
  );
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
