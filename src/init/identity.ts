/** The first agent: known to workers by a credential, and to the gateway by an API key. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { startPostgres } from '../dev/index.js';
import type { Environment } from '../environment.js';
import { ApiKeys, type ApiKey } from '../gateway/store/api-keys.js';
import { setUpTables } from '../gateway/store/set-up.js';
import { Database } from '../ledger/index.js';
import { encodeCredential, issueAgent, loadKeyring, peekCredential, type CredentialView } from '../trust/index.js';
import type { Undoing } from './new-files.js';

export interface FirstAgent {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly ttlSeconds: number;
}

export interface IssuedCredential {
  readonly holder: CredentialView;
  /** A secret. */
  readonly text: string;
  /** Whether the keys that signed it were made for it. */
  readonly madeKeys: boolean;
}

/** Signs with the operator's keys, or makes those of development where there are none. @throws CountersignError KEYS_*, CONFIG_INVALID */
export async function issueFirstCredential(
  agent: FirstAgent,
  { keysFile, env, undoing }: { readonly keysFile: string; readonly env: Environment; readonly undoing: Undoing },
): Promise<IssuedCredential> {
  let madeKeys = false;
  const onCreated = (file: string): void => {
    madeKeys = true;
    undoing.add(() => rm(file, { force: true }));
  };
  const keyring = await loadKeyring({ env, devPath: keysFile, onCreated });
  const credential = await issueAgent(keyring, agent);
  return { holder: peekCredential(credential), text: encodeCredential(credential), madeKeys };
}

/** Where the ledger is: the server that the environment names, else the one that `countersign dev` starts in it. */
export interface LedgerPlace {
  readonly url: string | undefined;
  readonly schema?: string;
  /** The data folder of `countersign dev`, which is there. */
  readonly dataDir: string;
}

/** Runs the work on a ledger that is set up. @throws CountersignError LEDGER_UNAVAILABLE, CONFIG_INVALID, NOT_INSTALLED */
export async function onLedger<T>(place: LedgerPlace, work: (database: Database) => Promise<T>): Promise<T> {
  const { url, dataDir, ...schema } = place;
  const server =
    url === undefined
      ? await startPostgres({ env: {}, dataDir: path.join(dataDir, 'postgres'), database: 'countersign' })
      : undefined;
  try {
    const database = new Database({ url: url ?? (server?.url as string), ...schema, poolSize: 2 });
    try {
      await setUpTables(database);
      return await work(database);
    } finally {
      await database.close();
    }
  } finally {
    await server?.stop();
  }
}

/** @throws CountersignError CONFIG_INVALID, LEDGER_UNAVAILABLE */
export async function createFirstKey(
  database: Database,
  { id: agent, ...options }: FirstAgent,
  undoing: Undoing,
): Promise<ApiKey & { readonly text: string }> {
  const keys = new ApiKeys(database);
  const key = await keys.create({ agent, ...options });
  undoing.add(() => keys.revoke(key.id));
  return key;
}
