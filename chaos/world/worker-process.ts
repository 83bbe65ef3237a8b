/** A worker in a process of its own, assembled as an operator's would be. Run directly it is that worker; imported it starts one. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import pino from 'pino';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { faultsFromEnv } from '../../src/worker/faults.js';
import { runnable } from '../../scripts/program.js';
import { startChild, type Child } from './child.js';
import { startWorkerAt, type WorkerPlaces } from './worker.js';

const SKEWED_CLOCK = fileURLToPath(new URL('skewed-clock.ts', import.meta.url));

export interface WorkerTrouble {
  /** A value of COUNTERSIGN_FAULT. */
  readonly fault?: string;
  /** How far its clock is off, milliseconds. */
  readonly skewMs?: number;
}

/** Returns once it polls. */
export function startWorkerProcess(places: WorkerPlaces, { fault, skewMs }: WorkerTrouble = {}): Promise<Child> {
  return startChild({
    name: 'worker',
    module: fileURLToPath(import.meta.url),
    options: {
      ...places,
      first: (skewMs === undefined ? [] : [SKEWED_CLOCK]).map(runnable),
    },
    env: {
      CHAOS_LOG: process.env['CHAOS_LOG'] ?? 'silent',
      ...(fault === undefined ? {} : { COUNTERSIGN_FAULT: fault }),
      ...(skewMs === undefined ? {} : { CHAOS_SKEW_MS: String(skewMs) }),
    },
  });
}

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
  const worker = await startWorkerAt(places, {
    logger: pino({ level: process.env['CHAOS_LOG'] ?? 'silent' }, pino.destination(2)),
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
