/** A worker: assembles what the activities stand on, and polls. */
import type { Worker } from '@temporalio/worker';
import { CANARY_ROUND_MS } from '../../activities/canary-round.js';
import { createActivities, type Dependencies } from '../../activities/index.js';
import type { CatalogueTool } from '../action/catalogue.js';
import { Closing } from '../closing.js';
import { checkConfig } from '../config/config.js';
import { purgeOptions } from '../config/retention.js';
import { Ledger } from '../ledger/index.js';
import { payloadEncryption } from '../privacy/data-converter.js';
import { Meter } from '../telemetry/meter.js';
import type { Tool } from '../tools/tool.js';
import { loadVerification } from '../verify/index.js';
import { assemble } from './assemble.js';
import { putCanariesInForce } from './canary-schedule.js';
import { buildIdOf, workflowBundlePath } from './bundle.js';
import { alarming, freezeWhatWasSetBack } from './ledger-alarm.js';
import type { RunningWorker, WorkerOptions } from './options.js';
import { digestOf } from './policy-source.js';
import { createWorker, decidesWith } from './poller.js';
import { RETENTION_EVERY_MS } from './temporal-side.js';
import { versionOf } from './version.js';

export type { RunningWorker, WorkerOptions } from './options.js';

/**
 * Starts a worker and returns once it polls.
 *
 * @throws CountersignError CONFIG_INVALID, POLICY_INVALID, KEYS_MISSING, KEYS_INVALID, LEDGER_UNAVAILABLE or TEMPORAL_UNAVAILABLE
 */
export function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  return startWorkerWith({}, options);
}

/** A worker some of whose settings are none that a config may ask for: for who has to see something run out. @throws as `startWorker` does */
export async function startWorkerWith(
  settings: Partial<Dependencies['settings']>,
  options: WorkerOptions,
): Promise<RunningWorker> {
  const { temporal, logger, reconcileEveryMs = 60_000 } = options;
  const config = checkConfig(options.config, 'config');
  const decides = decidesWith(options.keyring);
  const verification = await loadVerification(config, config.tools);
  const encryption = await payloadEncryption(process.env, config.privacy);
  const concurrency = options.concurrency ?? 50;
  const ledger = await Ledger.connect({
    url: options.ledgerUrl,
    ...(options.ledgerSchema === undefined ? {} : { schema: options.ledgerSchema }),
    poolSize: Math.min(concurrency, 20),
  });
  const closing = new Closing();
  closing.add(() => ledger.close());
  try {
    const { deps, policy, connection, temporalSide } = await assemble(
      { ...options, config },
      encryption,
      verification,
      ledger,
      closing,
    );
    const codePath = await workflowBundlePath();
    const version = decides ? versionOf(options, await buildIdOf(codePath)) : undefined;
    const alarms = { notifier: deps.notifier, temporal: temporalSide, lookEveryMs: options.alarmLookEveryMs };
    if (decides) await freezeWhatWasSetBack(ledger, temporalSide, alarms, logger);
    const set = { ...deps, settings: { ...deps.settings, ...settings } };
    const activities = alarming(createActivities(set, concurrency), alarms, logger);
    const worker = await createWorker(connection, temporal, activities, {
      codePath,
      version,
      decides,
      concurrency,
      encryption,
      watching: { tools: deps.tools, meter: new Meter(), logger },
    });
    if (decides) await ledger.catalogue.publish(temporal.taskQueue, catalogueOf([...deps.tools.values()]));
    if (decides && reconcileEveryMs > 0) {
      const { checkpointEverySeconds = 300 } = config.trail ?? {};
      await temporalSide.scheduleRounds('reconcile', reconcileEveryMs, logger);
      await temporalSide.scheduleRounds('checkpointTrails', checkpointEverySeconds * 1000, logger);
      await putCanariesInForce(ledger, temporal.taskQueue, config.oversight, logger);
      if ((config.oversight?.canaries?.perWeek ?? 0) > 0)
        await temporalSide.scheduleRounds('canaryRound', CANARY_ROUND_MS, logger);
      else await temporalSide.unscheduleRounds('canaryRound', logger);
      await temporalSide.scheduleRounds('retention', RETENTION_EVERY_MS, logger, purgeOptions(config.retention));
    }
    const done = runUntilStopped(worker, closing);
    done.catch((error: unknown) => logger.error({ err: error }, 'worker died'));
    if (version !== undefined) {
      await temporalSide.makeFirstCurrent(version, logger).catch(async (error: unknown) => {
        await stop(worker, done);
        throw error;
      });
    }
    logger.info({ ...temporal, tools: [...deps.tools.keys()], policy: digestOf(policy) ?? null }, 'worker polls');
    return { policy, done, stop: () => stop(worker, done), ...(version === undefined ? {} : { version }) };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

/** What the tools can do, for gateways. Tools that do not describe themselves are offered to nobody. */
function catalogueOf(tools: readonly Tool[]): readonly CatalogueTool[] {
  return tools.flatMap((tool) => {
    const { name, kind, environment, ownNames = false } = tool;
    const operations = tool.describe?.();
    return operations === undefined ? [] : [{ name, kind, environment, operations, ...(ownNames ? { ownNames } : {}) }];
  });
}

async function stop(worker: Worker, done: Promise<void>): Promise<void> {
  if (worker.getState() === 'RUNNING') worker.shutdown();
  await done;
}

async function runUntilStopped(worker: Worker, closing: Closing): Promise<void> {
  try {
    await worker.run();
  } finally {
    await closing.close();
  }
}
