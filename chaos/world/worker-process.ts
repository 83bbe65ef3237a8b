/** A worker in a process of its own, assembled as an operator's would be. Run directly it is that worker; imported it starts one. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import pino from 'pino';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { PoliciesConfig } from '../../src/config/config.js';
import type { TemporalSettings } from '../../src/environment.js';
import { parseKeyring } from '../../src/trust/index.js';
import { faultsFromEnv } from '../../src/worker/faults.js';
import { startWorker } from '../../src/worker/worker.js';
import { runnable } from '../../scripts/program.js';
import type { PolicySource } from '../plan.js';
import { startChild, type Child } from './child.js';
import { toolbox } from './tools.js';

const SKEWED_CLOCK = fileURLToPath(new URL('skewed-clock.ts', import.meta.url));

/** What a worker is told. It holds secrets. */
export interface WorkerPlaces {
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly shopUrl: string;
  readonly paymentsUrl: string;
  /** The policy folder: what workers watch, or what the first policy of the ledger is made of. */
  readonly policies: string;
  readonly policySource: PolicySource;
  /** The keyring file's text. */
  readonly keys: string;
}

export interface WorkerTrouble {
  /** A value of COUNTERSIGN_FAULT. */
  readonly fault?: string;
  /** How far its clock is off, milliseconds. */
  readonly skewMs?: number;
  /** The file of a module to load first. */
  readonly defect?: string;
}

/** Returns once it polls. */
export function startWorkerProcess(
  places: WorkerPlaces,
  { fault, skewMs, defect }: WorkerTrouble = {},
): Promise<Child> {
  return startChild({
    name: 'worker',
    module: fileURLToPath(import.meta.url),
    options: {
      ...places,
      first: [...(skewMs === undefined ? [] : [SKEWED_CLOCK]), ...(defect === undefined ? [] : [defect])].map(runnable),
    },
    env: {
      CHAOS_LOG: process.env['CHAOS_LOG'] ?? 'silent',
      ...(fault === undefined ? {} : { COUNTERSIGN_FAULT: fault }),
      ...(skewMs === undefined ? {} : { CHAOS_SKEW_MS: String(skewMs) }),
    },
  });
}

/** Nobody looks at backtests here: what promotions do to actions under way is what is tried. */
const POLICIES: Readonly<Record<PolicySource, (places: WorkerPlaces) => PoliciesConfig | string>> = {
  folder: ({ policies }) => policies,
  ledger: () => ({ from: 'ledger', withoutEvidence: true }),
};

interface WorkerProcessOptions extends WorkerPlaces {
  /** Files of modules to load first. */
  readonly first: readonly string[];
}

async function work({ first, ...places }: WorkerProcessOptions): Promise<void> {
  for (const module of first) await import(pathToFileURL(module).href);
  // What the run breaks on purpose is no news.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => {}),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  process.on('disconnect', () => process.exit(0));
  const worker = await startWorker({
    config: { policies: POLICIES[places.policySource](places), tools: toolbox.make(places), grantTtlSeconds: 30 },
    temporal: places.temporal,
    ledgerUrl: places.ledgerUrl,
    keyring: await parseKeyring(places.keys, 'CHAOS_OPTIONS'),
    logger: pino({ level: process.env['CHAOS_LOG'] ?? 'silent' }, pino.destination(2)),
    policyPollMs: 200,
    faults: faultsFromEnv(process.env),
  });
  process.send?.('ready');
  // A worker that cannot go on is replaced by its supervisor, as everywhere.
  await worker.done.catch(() => {});
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await work(JSON.parse(process.env['CHAOS_OPTIONS'] ?? '{}') as WorkerProcessOptions);
  } catch (error) {
    // What it stands on is away: that is how it is meant. Its supervisor tries again.
    if ((process.env['CHAOS_LOG'] ?? 'silent') !== 'silent') process.stderr.write(`worker: ${String(error)}\n`);
    process.exit(1);
  }
}
