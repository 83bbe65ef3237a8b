/** Where a process finds its keys: the environment, a file, or (in development only) a file made on first run. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CountersignError } from '../action/errors.js';
import { isProduction, variable } from '../environment.js';
import { keysInvalid } from './ed25519.js';
import { generateKeyringFile, narrowedKeyring, parseKeyring, withGatewayKey, type KeyringFile } from './key-file.js';
import { KEY_ROLES, type KeyRole, type Keyring } from './keys.js';

/** A key file of 128 keys is far below this; anything longer is not a key file. */
const MAX_FILE_BYTES = 64 * 1024;

export interface LoadKeyringOptions {
  /** The environment, such as `process.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether keys must be given. Default: what `isProduction(env)` says. */
  readonly production?: boolean;
  /**
   * Where development keys are kept, and made when absent; a file from before gateways had keys is given one. Without it, keys must be given
   * in development too.
   */
  readonly devPath?: string | undefined;
  /** Called with the path when development keys were made by this call. */
  readonly onCreated?: (path: string) => void;
}

/**
 * Finds and reads the keys: `COUNTERSIGN_KEYS` (JSON), `COUNTERSIGN_KEYS_FILE` (a path), or `devPath`. An empty variable is
 * an absent one.
 *
 * @throws CountersignError KEYS_MISSING when there are none and none may be made; KEYS_INVALID when they cannot be used, both
 *   variables are set, or (in production) others can read the file of private keys
 */
export async function loadKeyring(options: LoadKeyringOptions): Promise<Keyring> {
  const { env, production = isProduction(env), devPath } = options;
  const text = variable('COUNTERSIGN_KEYS', env);
  const path = variable('COUNTERSIGN_KEYS_FILE', env);
  if (text !== undefined && path !== undefined) {
    throw keysInvalid('Both COUNTERSIGN_KEYS and COUNTERSIGN_KEYS_FILE are set: it is not clear which keys count', {
      field: 'COUNTERSIGN_KEYS',
      expected: 'one of the two',
      fix: 'Unset one of them.',
    });
  }
  if (text !== undefined) return parseKeyring(text, 'COUNTERSIGN_KEYS');
  if (path !== undefined) return readKeyFile(path, { production });
  if (production || devPath === undefined) {
    throw new CountersignError(
      'KEYS_MISSING',
      production ? 'There are no signing keys, and production never makes its own.' : 'There are no signing keys.',
      {
        field: 'COUNTERSIGN_KEYS_FILE',
        expected: 'COUNTERSIGN_KEYS_FILE (a path) or COUNTERSIGN_KEYS (JSON)',
        fix: 'Make a key file once, store it as a secret with mode 0600, and name it in COUNTERSIGN_KEYS_FILE.',
      },
    );
  }
  if (await createKeyFile(devPath)) options.onCreated?.(devPath);
  else await addGatewayKey(devPath);
  return readKeyFile(devPath, { production: false });
}

/** @throws CountersignError KEYS_MISSING (no such file) or KEYS_INVALID */
export async function readKeyFile(path: string, { production }: { readonly production: boolean }): Promise<Keyring> {
  const { text, ...file } = await readText(path);
  const { mode } = file;
  const keyring = await parseKeyring(text, path);
  const isPrivate = KEY_ROLES.some((role) => keyring.sign[role] !== undefined);
  // Windows has no such mode bits: node reports made-up ones.
  if (production && isPrivate && process.platform !== 'win32' && isOpenToOthers(file, process.getuid?.())) {
    throw keysInvalid(
      `${path} holds private keys and is open to others (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
      {
        field: path,
        expected: "mode 0600 or 0400; 0440 where it is root's and this process is not",
        fix: 'Run `chmod 600` on it; where that cannot be, pass the keys in COUNTERSIGN_KEYS.',
      },
    );
  }
  return keyring;
}

/**
 * Whether others than this process (and root) may read or change a file. Orchestrators mount secrets as root's, and let the process in by a
 * group of its own (mode 0440): Kubernetes cannot give such a file to a process that is not root in any other way.
 */
export function isOpenToOthers(
  { mode, uid }: { readonly mode: number; readonly uid: number },
  ownUid: number | undefined,
): boolean {
  const mounted = uid === 0 && ownUid !== 0;
  return (mode & (mounted ? 0o037 : 0o077)) !== 0;
}

async function readText(path: string): Promise<{ text: string; mode: number; uid: number }> {
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
 * Makes a key file unless there is one. Several processes may try at once: the file appears whole (a link to a finished file)
 * and the first wins.
 *
 * @param roles for which it holds a key; default all
 * @returns whether this call made it
 */
export async function createKeyFile(path: string, roles: readonly KeyRole[] = KEY_ROLES): Promise<boolean> {
  if (await exists(path)) return false;
  const file = await generateKeyringFile(roles);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await throughDraft(path, file, (draft) => link(draft, path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new CountersignError('KEYS_INVALID', `${path} cannot be made`, {
      field: path,
      expected: 'a folder that can be written, on a file system with hard links',
      fix: 'Choose another place, or give the keys in COUNTERSIGN_KEYS_FILE.',
      cause: error,
    });
  }
}

/**
 * Writes a new file with the private keys of these roles and the public ones of all others: what one process needs of a file that has
 * everything.
 *
 * @throws CountersignError KEYS_MISSING, KEYS_INVALID; also when there is a file at `to` already, or `from` lacks a private key it is to have
 */
export async function extractKeys(from: string, to: string, roles: readonly KeyRole[]): Promise<void> {
  const { text } = await readText(from);
  const file = await narrowedKeyring(text, from, roles);
  try {
    await throughDraft(to, file, (draft) => link(draft, to));
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CountersignError('KEYS_INVALID', taken ? `${to} is there already.` : `${to} cannot be made`, {
      field: to,
      expected: 'a new file, in a folder that can be written',
      fix: 'Choose another name or place.',
      cause: error,
    });
  }
}

/** Who adds it at the same time adds the same, so the last to rename changes nothing. */
async function addGatewayKey(given: string): Promise<void> {
  const { text } = await readText(given);
  const file = await withGatewayKey(text, given);
  if (file === undefined) return;
  try {
    const path = await realpath(given);
    await throughDraft(path, file, (draft) => rename(draft, path));
  } catch (error) {
    throw new CountersignError('KEYS_INVALID', `${given} has no gateway key and cannot be given one`, {
      field: given,
      expected: 'a key file for development that can be written',
      fix: 'Make it writable, or name a key file of your own in COUNTERSIGN_KEYS_FILE.',
      cause: error,
    });
  }
}

/** Writes the file under another name, to be put in its place whole. */
async function throughDraft(path: string, content: KeyringFile, put: (draft: string) => Promise<void>): Promise<void> {
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

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}
