/** The worker as a process of its own: it alone is given the shop's credentials, and it can be killed. */
import { fileURLToPath } from 'node:url';
import { startProcess, type ServerProcess } from '../../src/dev/child.js';
import { onShutdown } from '../../src/dev/index.js';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const CONFIG = fileURLToPath(new URL('countersign.config.ts', import.meta.url));

/** What the worker logs once it takes work. */
const READY = 'worker polls';

export interface WorkerSecrets {
  readonly temporalAddress: string;
  readonly namespace: string;
  /** Postgres URL of the ledger. */
  readonly ledgerUrl: string;
  /** Postgres URL of the shop. */
  readonly shopUrl: string;
  readonly keysFile: string;
}

export interface WorkerProcess {
  /** Resolves when it has ended: with why, in words. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts `countersign worker` from source and returns once it takes work.
 *
 * @param fault a value of COUNTERSIGN_FAULT: where it is to kill itself
 */
export async function startWorkerProcess(secrets: WorkerSecrets, fault?: string): Promise<WorkerProcess> {
  let announce: () => void = () => {};
  const ready = new Promise<'ready'>((resolve) => {
    announce = () => resolve('ready');
  });
  const worker: ServerProcess = startProcess({
    command: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), CLI, 'worker', '--config', CONFIG],
    env: {
      // Not our whole environment: what is set there for other things is none of the worker's business.
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: secrets.temporalAddress,
      TEMPORAL_NAMESPACE: secrets.namespace,
      COUNTERSIGN_LEDGER_URL: secrets.ledgerUrl,
      SHOP_DATABASE_URL: secrets.shopUrl,
      COUNTERSIGN_KEYS_FILE: secrets.keysFile,
      ...(fault === undefined ? {} : { COUNTERSIGN_FAULT: fault }),
    },
    signal: 'SIGTERM',
    graceMs: 15_000,
    onLine: (line) => {
      if (line.includes(READY)) announce();
    },
  });
  const callOff = onShutdown('the worker', () => worker.stop());
  void worker.ended.then(callOff);
  const state = await Promise.race([ready, worker.ended]);
  if (state !== 'ready') throw new Error(`The worker did not start (${state}):\n${worker.output()}`);
  return worker;
}
