/** What `countersign init` makes: a config, policies, a first agent and its secrets, all of them or nothing. */
import path from 'node:path';
import { CONFIG_NAMES } from '../config/config.js';
import type { Environment } from '../environment.js';
import type { ApiKey } from '../gateway/store/api-keys.js';
import { starterFiles } from '../policy/starter-files.js';
import { onShutdown } from '../shutdown.js';
import type { CredentialView } from '../trust/index.js';
import { configText, type LeftOut } from './config-text.js';
import { envText } from './env-text.js';
import { createFirstKey, issueFirstCredential, onLedger, type FirstAgent, type LedgerPlace } from './identity.js';
import { ignoreInGit, makeFolder, refuseExisting, Undoing, writeNewFile, type NewFile } from './new-files.js';

/** The workers' secrets, and the agent's: an agent that can read the first needs no Countersign to reach the database. */
export const ENV_FILES = { workers: '.env', agent: '.env.agent' } as const;

export interface Wanted {
  /** Absolute. */
  readonly folder: string;
  /** The data folder of `countersign dev`, relative to `folder`. */
  readonly dataFolder: string;
  readonly tool: string;
  readonly environment: string;
  readonly schema: string;
  /** Undefined: every table of the schema. */
  readonly tables: readonly string[] | undefined;
  readonly leftOut: readonly LeftOut[];
  /** The variable that holds the database's address. */
  readonly variable: string;
  /** Undefined: the variable is set by whoever starts the worker. A secret. */
  readonly databaseUrl: string | undefined;
  readonly agent: FirstAgent;
  readonly gatewayPort: number;
  readonly ledger: Omit<LedgerPlace, 'dataDir'>;
  readonly env: Environment;
}

export interface Initialized {
  /** Those that were made, relative to the folder. */
  readonly files: readonly string[];
  readonly holder: CredentialView;
  readonly apiKey: ApiKey;
  readonly gatewayUrl: string;
}

/** @throws CountersignError FILES_EXIST, when one of the files is there */
export async function checkFolder(folder: string, agentId: string, dataFolder: string): Promise<void> {
  const names = [...CONFIG_NAMES, 'policies', ...Object.values(ENV_FILES), credentialFile(dataFolder, agentId)];
  await refuseExisting(folder, names);
}

/**
 * Whatever fails, what was made before is gone again.
 *
 * @throws CountersignError FILES_EXIST, USAGE, KEYS_*, LEDGER_UNAVAILABLE, CONFIG_INVALID
 */
export async function initialize(wanted: Wanted): Promise<Initialized> {
  const [folders, work] = [new Undoing(), new Undoing()];
  const undo = async (): Promise<void> => {
    await work.run();
    await folders.run();
  };
  const callOff = onShutdown('what init has begun', undo);
  const dataDir = path.join(wanted.folder, wanted.dataFolder);
  try {
    await checkFolder(wanted.folder, wanted.agent.id, wanted.dataFolder);
    await makeFolder(wanted.folder, folders);
    // As `countersign dev` makes it: its Postgres may be another user's, who passes through.
    await makeFolder(dataDir, folders, 0o711);
    return await onLedger({ ...wanted.ledger, dataDir }, async (database) => {
      try {
        const { text, ...apiKey } = await createFirstKey(database, wanted.agent, work);
        return { ...(await makeAll(wanted, text, work)), apiKey };
      } catch (error) {
        // While the ledger is there: the key is revoked in it.
        await work.run();
        throw error;
      }
    });
  } catch (error) {
    await undo();
    throw error;
  } finally {
    callOff();
  }
}

async function makeAll(wanted: Wanted, apiKey: string, undoing: Undoing): Promise<Omit<Initialized, 'apiKey'>> {
  const { folder, dataFolder, agent, env } = wanted;
  const keysFile = path.join(folder, dataFolder, 'keys.json');
  const { holder, text, madeKeys } = await issueFirstCredential(agent, { keysFile, env, undoing });
  const gatewayUrl = `http://localhost:${wanted.gatewayPort}`;
  const files: readonly NewFile[] = [
    { name: CONFIG_NAMES[0], text: configText(wanted) },
    ...(await starterPolicy()),
    ...workersEnv(wanted),
    {
      name: ENV_FILES.agent,
      text: envText('For agents, and nothing else: what an agent may do with it, policy decides.', {
        COUNTERSIGN_GATEWAY_URL: gatewayUrl,
        COUNTERSIGN_API_KEY: apiKey,
      }),
      secret: true,
    },
    { name: credentialFile(dataFolder, agent.id), text: `${text}\n`, secret: true },
  ];
  for (const file of files) await writeNewFile(folder, file, undoing);
  const ignored = await ignoreInGit(folder, [...Object.values(ENV_FILES), `${dataFolder}/`], undoing);
  const made = [
    ...files.map(({ name }) => name),
    ...(madeKeys ? [path.relative(folder, keysFile)] : []),
    ...(ignored ? ['.gitignore'] : []),
  ];
  return { files: made, holder, gatewayUrl };
}

function workersEnv({ variable, databaseUrl }: Wanted): readonly NewFile[] {
  if (databaseUrl === undefined) return [];
  const text = envText('For workers alone: no agent may read it.', { [variable]: databaseUrl });
  return [{ name: ENV_FILES.workers, text, secret: true }];
}

async function starterPolicy(): Promise<readonly NewFile[]> {
  return Object.entries(await starterFiles()).map(([name, text]) => ({ name: `policies/${name}`, text }));
}

export function credentialFile(dataFolder: string, agentId: string): string {
  return path.join(dataFolder, `${agentId}.csk`);
}
