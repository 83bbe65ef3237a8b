/** A worker of the scratch world in a process of its own, so that it can be killed. Run by `crash.ts`. */
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { loadConfig } from '../config/config.js';
import type { TemporalSettings } from '../environment.js';
import type { Place } from '../tools/elsewhere.js';
import { parseKeyring } from '../trust/index.js';
import { faultsFromEnv } from '../worker/faults.js';
import { startWorker } from '../worker/worker.js';
import { scratchConfig, type ScratchConfigOptions } from './scratch/config.js';
import { neutral } from './scratch/servers.js';
import { madeAt, SECRET_VARIABLE } from './tools.js';

/** What it is told, on its standard input. It holds secrets. */
export interface WorkerProcessOptions extends Pick<ScratchConfigOptions, 'policies' | 'keyFiles'> {
  readonly configFile: string;
  /** Of each tool that is tried, where it acts. The others are not there. */
  readonly places: Readonly<Record<string, Place>>;
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly keys: string;
  readonly secret: string;
  /** A COUNTERSIGN_FAULT. */
  readonly fault: string;
}

async function main(): Promise<void> {
  const options = JSON.parse(await text(process.stdin)) as WorkerProcessOptions;
  const { configFile, places, policies, keyFiles, temporal, ledgerUrl, keys, secret, fault } = options;
  const config = await loadConfig(configFile);
  process.env = { ...neutral(process.env), [SECRET_VARIABLE]: secret };
  const tools = config.tools.flatMap((tool) => {
    const place = places[tool.name];
    return place === undefined ? [] : [madeAt(tool, place)];
  });
  await startWorker({
    config: scratchConfig(config, { policies, tools, keyFiles }),
    temporal,
    ledgerUrl,
    keyring: await parseKeyring(keys, 'countersign prove'),
    logger: pino({ level: 'silent' }),
    reconcileEveryMs: 0,
    production: false,
    faults: faultsFromEnv({ COUNTERSIGN_FAULT: fault }),
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
