/** Workers and gateways as docker-compose.yml starts them: the command line, each a process with its own part of the keys, its secrets in files. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess, type ServerProcess } from '../src/dev/child.js';
import { freePort } from '../src/dev/index.js';
import { extractKeys } from '../src/trust/index.js';

const CLI = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const CONFIG = fileURLToPath(new URL('countersign.config.ts', import.meta.url));

/** Where everything is. */
export interface Place {
  readonly folder: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly shopUrl: string;
}

/** Writes what the processes read: keys by process, and URLs. */
export async function writeSecrets({ folder, shopUrl }: Place, keysFile: string, ledgerUrl: string): Promise<void> {
  await extractKeys(keysFile, path.join(folder, 'worker-keys.json'), ['grant', 'receipt', 'tool']);
  await extractKeys(keysFile, path.join(folder, 'gateway-keys.json'), ['gateway']);
  await writeFile(path.join(folder, 'shop-url'), shopUrl, { mode: 0o600 });
  await moveLedger(folder, ledgerUrl);
}

/** Processes that start from now on use this ledger. */
export async function moveLedger(folder: string, url: string): Promise<void> {
  await writeFile(path.join(folder, 'ledger-url'), url, { mode: 0o600 });
}

function environment({ folder, temporal }: Place): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    COUNTERSIGN_LEDGER_URL_FILE: path.join(folder, 'ledger-url'),
    COUNTERSIGN_ENV: 'production',
    COUNTERSIGN_CONFIG: CONFIG,
  };
}

async function started(args: readonly string[], env: NodeJS.ProcessEnv, ready: string): Promise<ServerProcess> {
  let announce: () => void = () => {};
  const announced = new Promise<'ready'>((resolve) => (announce = () => resolve('ready')));
  const running = startProcess({
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), CLI, ...args],
    env,
    signal: 'SIGTERM',
    graceMs: 40_000,
    onLine: (line) => {
      if (line.includes(ready)) announce();
    },
  });
  const state = await Promise.race([announced, running.ended]);
  if (state !== 'ready')
    throw new Error(`countersign ${args.join(' ')} did not start (${state}):\n${running.output()}`);
  return running;
}

/** Brings the ledger's tables up to date and registers the search attributes. */
export async function setUp(place: Place): Promise<void> {
  const running = startProcess({
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), CLI, 'setup'],
    env: environment(place),
    signal: 'SIGTERM',
    graceMs: 5_000,
  });
  const state = await running.ended;
  if (state !== 'exit code 0') throw new Error(`countersign setup failed (${state}):\n${running.output()}`);
}

/** Returns once it polls. */
export function startWorker(place: Place): Promise<ServerProcess> {
  const { folder } = place;
  const own = {
    COUNTERSIGN_KEYS_FILE: path.join(folder, 'worker-keys.json'),
    SHOP_DATABASE_URL_FILE: path.join(folder, 'shop-url'),
  };
  return started(['worker'], { ...environment(place), ...own }, 'worker polls');
}

export interface GatewayProcess extends ServerProcess {
  readonly url: string;
}

/** Returns once it listens. */
export async function startGateway(place: Place, port?: number): Promise<GatewayProcess> {
  const at = port ?? (await freePort());
  const url = `http://localhost:${at}`;
  const own = { COUNTERSIGN_KEYS_FILE: path.join(place.folder, 'gateway-keys.json'), GATEWAY_URL: url };
  const running = await started(
    ['gateway', '--port', String(at)],
    { ...environment(place), ...own },
    'gateway listens',
  );
  return { ...running, url };
}
