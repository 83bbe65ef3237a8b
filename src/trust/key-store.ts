/** Where a process finds its keys: the environment, a file, or (in development only) a file made on first run. */
import { link, mkdir, realpath, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CountersignError } from '../action/errors.js';
import { isProduction, variable } from '../environment.js';
import { keysInvalid } from './ed25519.js';
import { generateKeyringFile, narrowedKeyring, parseKeyring, withGatewayKey } from './key-file.js';
import { KEY_ROLES, type KeyRole, type Keyring } from './keys.js';
import { readSecretFile, refuseOpenFile, throughDraft } from './secret-file.js';

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
  const { text, ...file } = await readSecretFile(path);
  const keyring = await parseKeyring(text, path);
  const isPrivate = KEY_ROLES.some((role) => keyring.sign[role] !== undefined);
  if (production && isPrivate) refuseOpenFile(path, file, 'COUNTERSIGN_KEYS');
  return keyring;
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
  const { text } = await readSecretFile(from);
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
  const { text } = await readSecretFile(given);
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

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}
