/** A worker in a process of its own, so that it can be killed. Run directly it is that worker; imported it starts one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pino from 'pino';
import { heartbeating } from '../../activities/step.js';
import { argumentsFor } from '../../scripts/program.js';
import type { FaultPoint } from '../../activities/index.js';
import type { CountersignConfig } from '../../src/config/config.js';
import { parseKeyring } from '../../src/trust/index.js';
import { faultsFromEnv, type Faults } from '../../src/worker/faults.js';
import { webhook, type NotificationsConfig } from '../../src/notify/index.js';
import { startWorker } from '../../src/worker/worker.js';
import type { Stack } from './stack.js';
import { http, postgres } from '../../src/tools/index.js';
import { OPERATIONS } from '../tools/http-payments.js';
import type { Tool } from '../../src/tools/tool.js';
import { keepQuiet } from './quiet.js';

export interface WorkerProcess {
  readonly process: ChildProcess;
  /** Settles with the signal that ended it. */
  readonly died: Promise<NodeJS.Signals | null>;
  /** Settles once it has stopped so often at the point, where it was started to stop there. */
  stopsAt(point: FaultPoint, times?: number): Promise<void>;
  /** From now on it stops there too. Of one that was started to stop somewhere. */
  stopAlsoAt(stop: Stop): Promise<void>;
  kill(): Promise<void>;
}

interface More extends Pick<CountersignConfig, 'oversight'> {
  /**
   * Points at which the worker stops for good, each the first time that it comes there, or as often as it is named. What it does beside goes on:
   * killed when it has stopped at each of them, one process dies in several places.
   */
  readonly stopsAt?: readonly Stop[];
}

/** The first time that the worker comes to the point, or the nth time. */
type Stop = FaultPoint | `${FaultPoint}#${number}`;

/** Returns once the worker polls. `fault` is a COUNTERSIGN_FAULT. */
export async function spawnWorker(
  stack: Stack,
  policies: CountersignConfig['policies'],
  fault?: string,
  { stopsAt, ...more }: More = {},
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, argumentsFor(fileURLToPath(import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      WORKER_OPTIONS: JSON.stringify({
        temporal: stack.temporal,
        ledgerUrl: stack.ledgerUrl,
        shopUrl: stack.shopUrl,
        keys: stack.keys,
        policies,
        more,
        stopsAt,
      }),
      ...(fault === undefined ? {} : { COUNTERSIGN_FAULT: fault }),
    },
  });
  const died = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  const ready = once(child, 'message').then(() => 'ready');
  const stopped: FaultPoint[] = [];
  child.on('message', (message: { readonly stopped: FaultPoint } | 'ready') => {
    if (message !== 'ready') stopped.push(message.stopped);
  });
  if ((await Promise.race([ready, died])) !== 'ready') throw new Error('the worker process did not start');
  return {
    process: child,
    died,
    async stopsAt(point, times = 1) {
      const ended = died.then(() => 'died');
      while (stopped.filter((one) => one === point).length < times) {
        if ((await Promise.race([once(child, 'message'), ended])) === 'died')
          throw new Error(`it died before ${point}`);
      }
    },
    stopAlsoAt: (stop) => promisify((done: (error: Error | null) => void) => child.send(stop, done))(),
    kill: async () => {
      child.kill('SIGKILL');
      await died;
    },
  };
}

/** Tells its parent of each point at which it stops. */
function stoppingAt(stops: readonly Stop[]): Faults {
  const parsed = (stop: Stop) => {
    const [point, nth = '1'] = stop.split('#');
    return { point, times: Number(nth) };
  };
  const left = stops.map(parsed);
  process.on('message', (stop: Stop) => left.push(parsed(stop)));
  return {
    at: async (reached) => {
      const next = left.find(({ point }) => point === reached);
      if (next === undefined || --next.times > 0) return;
      left.splice(left.indexOf(next), 1);
      process.send?.({ stopped: reached });
      // Alive until it is killed, however long others take to come to their points.
      await heartbeating(() => new Promise<never>(() => {}));
    },
  };
}

/** People are told on a webhook of this machine, signed with WORKER_WEBHOOK_SECRET. */
function told(url: string): NotificationsConfig {
  const hook = webhook({ url, secrets: ['env:WORKER_WEBHOOK_SECRET'], allow: { loopback: true } });
  return { gatewayUrl: 'http://localhost:8787', channels: [hook] };
}

/** A service of this machine, on which one action is sent four times at most. */
export function paymentsTool(baseUrl: string): Tool {
  const allow = { loopback: true };
  return http({ name: 'payments', environment: 'test', baseUrl, operations: OPERATIONS, allow, sends: { max: 4 } });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  keepQuiet();
  const options = JSON.parse(process.env['WORKER_OPTIONS'] as string) as {
    temporal: Stack['temporal'];
    ledgerUrl: string;
    shopUrl: string;
    keys: string;
    policies: CountersignConfig['policies'];
    more: Pick<CountersignConfig, 'oversight'>;
    stopsAt?: readonly Stop[];
  };
  const hook = process.env['WORKER_WEBHOOK_URL'];
  const service = process.env['WORKER_SERVICE_URL'];
  await startWorker({
    config: {
      policies: options.policies,
      tools: [
        postgres({ name: 'shop-db', environment: 'production', url: options.shopUrl }),
        ...(service === undefined ? [] : [paymentsTool(service)]),
      ],
      ...(hook === undefined ? {} : { notifications: told(hook) }),
      ...options.more,
    },
    temporal: options.temporal,
    ledgerUrl: options.ledgerUrl,
    keyring: await parseKeyring(options.keys, 'WORKER_OPTIONS'),
    logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
    reconcileEveryMs: 0,
    faults: options.stopsAt === undefined ? faultsFromEnv(process.env) : stoppingAt(options.stopsAt),
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}
