/** Files of payload keys as they are made and changed: by one key at a time, so that every process can follow. */
import { randomBytes } from 'node:crypto';
import { link, rename } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import { readSecretFile, throughDraft } from '../trust/index.js';
import { payloadKeyFile, type PayloadKeyFile } from './payload-keys.js';

/** The ids of the keys in a file, the one that encrypts first. */
export interface PayloadKeyIds {
  readonly encrypts: string;
  readonly decrypts: readonly string[];
}

/** Makes a file with one key. @throws CountersignError KEYS_INVALID; FILES_EXIST */
export async function createPayloadKeys(path: string, now: Date): Promise<PayloadKeyIds> {
  const file = { keys: [newKey(now)] };
  try {
    await throughDraft(path, file, (draft) => link(draft, path));
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CountersignError(
      taken ? 'FILES_EXIST' : 'KEYS_INVALID',
      `${path} ${taken ? 'is there already' : 'cannot be made'}.`,
      {
        field: path,
        expected: 'a new file, in a folder that can be written',
        fix: taken
          ? 'Add a key to it with `countersign payload-keys add`, or choose another name.'
          : 'Choose another place.',
        cause: error,
      },
    );
  }
  return idsOf(file);
}

/** Adds a key that only decrypts for now: no process may meet what it cannot read. @throws CountersignError KEYS_MISSING, KEYS_INVALID */
export async function addPayloadKey(path: string, now: Date): Promise<PayloadKeyIds & { readonly added: string }> {
  const { keys } = payloadKeyFile((await readSecretFile(path)).text, path);
  const added = newKey(now);
  return { ...(await replace(path, { keys: [...keys, added] })), added: added.kid };
}

/** Has one of the keys encrypt. Default: the last that was added. @throws CountersignError KEYS_MISSING, KEYS_INVALID, NOT_FOUND */
export async function usePayloadKey(path: string, id?: string): Promise<PayloadKeyIds> {
  const { keys } = payloadKeyFile((await readSecretFile(path)).text, path);
  const chosen = id === undefined ? keys.at(-1) : keys.find(({ kid }) => kid === id);
  if (chosen === undefined) {
    throw new CountersignError('NOT_FOUND', `${path} has no key ${id}.`, {
      field: 'id',
      expected: `one of: ${keys.map(({ kid }) => kid).join(', ')}`,
    });
  }
  return replace(path, { keys: [chosen, ...keys.filter((key) => key !== chosen)] });
}

async function replace(path: string, file: PayloadKeyFile): Promise<PayloadKeyIds> {
  // What is written is what will be read.
  payloadKeyFile(JSON.stringify(file), path);
  await throughDraft(path, file, (draft) => rename(draft, path));
  return idsOf(file);
}

function idsOf({ keys }: PayloadKeyFile): PayloadKeyIds {
  const ids = keys.map(({ kid }) => kid);
  return { encrypts: ids[0] as string, decrypts: ids };
}

/** Its id says when it was made. */
function newKey(now: Date): PayloadKeyFile['keys'][number] {
  const kid = `${now.toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}`;
  return { kty: 'oct', kid, alg: 'A256GCM', use: 'enc', k: randomBytes(32).toString('base64url') };
}
