/** A worker: assembles what the activities stand on, and polls. */
import type { WorkerDeploymentVersion } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Activities } from '../../activities/contract.js';
import { createActivities, type Dependencies } from '../../activities/index.js';
import { CANARY_ROUND_MS } from '../../activities/canary-round.js';
import type { CatalogueTool } from '../action/catalogue.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { Closing } from '../closing.js';
import { temporalUnavailable } from '../client/connection.js';
import { isProduction, type TemporalSettings } from '../environment.js';
import { assertSetUp, Ledger } from '../ledger/index.js';
import { Notifier } from '../notify/notifier.js';
import { payloadEncryption, type PayloadEncryption } from '../privacy/data-converter.js';
import { openRedaction } from '../privacy/open-redaction.js';
import { readSecurity } from '../temporal-security.js';
import type { Tool } from '../tools/tool.js';
import type { Keyring } from '../trust/index.js';
import { ExpectationRunner, loadVerification } from '../verify/index.js';
import { buildIdOf, workflowBundlePath, workflowCode } from './bundle.js';
import {
  checkConfig,
  DEFAULT_APPROVAL_RATE_LIMIT,
  DEFAULT_ROLES,
  policySourceOf,
  type CountersignConfig,
  type DeploymentConfig,
} from '../config/config.js';
import { Meter } from '../telemetry/meter.js';
import { canarySettingsOf } from '../config/oversight.js';
import { purgeOptions } from '../config/retention.js';
import { withAcceptedPins } from './accepted-pins.js';
import { LedgerFreezeWatch } from './freeze-watch.js';
import { alarming, freezeWhatWasSetBack } from './ledger-alarm.js';
import { digestOf, openPolicy, type WorkerPolicy } from './policy-source.js';
import { startRadars } from './radars.js';
import { ShadowLimits } from './shadow-limits.js';
import { ShadowRecorder } from './shadow-recorder.js';
import { stepTelemetry, type Watching } from './step-telemetry.js';
import { RETENTION_EVERY_MS, TemporalSide } from './temporal-side.js';
import { versioningOf, versionOf } from './version.js';
import { interruptible, NO_FAULTS, type Faults } from './faults.js';

export interface WorkerOptions {
  readonly config: CountersignConfig;
  readonly temporal: TemporalSettings;
  /** A connection of somebody else's, who closes it. Default: one of its own, to `temporal.address`. */
  readonly connection?: NativeConnection;
  /** Postgres URL of the ledger. */
  readonly ledgerUrl: string;
  /** Postgres schema of the ledger. Default `countersign`. */
  readonly ledgerSchema?: string;
  readonly keyring: Keyring;
  readonly logger: Logger;
  /** How often the policy folder is looked at for changes (milliseconds, default 1000), or the ledger (default 400). */
  readonly policyPollMs?: number;
  /** Whether a folder that can be edited in place is refused. Default: what COUNTERSIGN_ENV says. */
  readonly production?: boolean;
  /** How often actions are looked after whose workflow was ended from outside. Milliseconds, default 60 000; 0 leaves all rounds to others. */
  readonly reconcileEveryMs?: number;
  /** How often it is looked whether a ledger that was broken is whole again. Milliseconds, default 90 000. */
  readonly alarmLookEveryMs?: number;
  readonly faults?: Faults;
  /** Versions this worker. Default: the config's `deployment`, else it is not versioned. */
  readonly deployment?: DeploymentConfig;
  /** Most actions prepared or concluded at once. As many again may wait whose agents are refused again and again. Default 50. */
  readonly concurrency?: number;
}

export interface RunningWorker {
  readonly policy: WorkerPolicy;
  /** Where it is versioned: its deployment and its build id. */
  readonly version?: WorkerDeploymentVersion;
  /** Settles when the worker has stopped; rejects when it died. */
  readonly done: Promise<void>;
  /** Finishes what runs, then closes every connection. */
  stop(): Promise<void>;
}

/**
 * Starts a worker and returns once it polls.
 *
 * @throws CountersignError CONFIG_INVALID, POLICY_INVALID, KEYS_MISSING, KEYS_INVALID, LEDGER_UNAVAILABLE or TEMPORAL_UNAVAILABLE
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
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
    const activities = alarming(createActivities(deps, concurrency), alarms, logger);
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
      if ((config.oversight?.canaries?.perWeek ?? 0) > 0)
        await temporalSide.scheduleRounds('canaryRound', CANARY_ROUND_MS, logger);
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

/** The longest time for a tool's system to answer before the worker starts without it. Milliseconds. */
const TOOL_CHECK_MS = 5_000;

/**
 * Checks a tool before the worker takes any action. A system that does not answer may be back later; what an operator must put right stops
 * the worker, so that it does not show at the first effect.
 */
async function checkTool(tool: Tool, logger: Logger): Promise<void> {
  const signal = AbortSignal.timeout(TOOL_CHECK_MS);
  try {
    await tool.check?.({ signal });
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (!error.retryable && !signal.aborted) throw error;
    logger.warn({ tool: tool.name, err: error }, "a tool's system does not answer; its actions will wait for it");
  }
}

interface Assembled {
  readonly deps: Omit<Dependencies, 'refusals'>;
  readonly policy: WorkerPolicy;
  readonly connection: NativeConnection;
  readonly temporalSide: TemporalSide;
}

/** Opens what the activities stand on, once the ledger is known to take what they record. */
async function assemble(
  options: WorkerOptions,
  encryption: PayloadEncryption,
  verification: NonNullable<Dependencies['verification']>,
  ledger: Ledger,
  closing: Closing,
): Promise<Assembled> {
  const { config, temporal, logger, keyring, faults = NO_FAULTS } = options;
  await assertReady(ledger);
  const { taskQueue } = temporal;
  const production = options.production ?? isProduction();
  const policy = await openPolicy(
    { config, ledger, keyring, logger, taskQueue, pollMs: options.policyPollMs, production },
    closing,
  );

  const expectations = new ExpectationRunner();
  closing.add(() => expectations.close());
  for (const tool of config.tools) closing.add(() => tool.close());
  const own = config.tools.filter(({ taskQueue }) => taskQueue === undefined || taskQueue === temporal.taskQueue);
  await Promise.all(own.map((tool) => checkTool(tool, logger)));
  const signed = config.signedPins ?? production;
  const tools = signed ? await withAcceptedPins(config.tools, { ledger, keyring, logger }) : config.tools;

  const names = config.tools.map(({ name }) => name);
  const redaction = await openRedaction(config.privacy?.redaction, encryption, ledger.subjectKeys, names);
  const notifier = config.notifications === undefined ? undefined : new Notifier(config.notifications);
  closing.add(() => notifier?.close());
  const { unfreezeAll: roles } = { ...DEFAULT_ROLES, ...config.roles };
  await startRadars({ config, own, ledger, notifier, roles, logger }, closing);
  const freezes = new LedgerFreezeWatch(ledger.controls);
  closing.add(() => freezes.close());
  const connection = options.connection ?? (await connect(temporal));
  if (options.connection === undefined) closing.add(() => connection.close());
  const temporalSide = new TemporalSide(connection, temporal, encryption);
  const divergences = new ShadowRecorder(ledger.rollout, new ShadowLimits(ledger), logger);
  closing.add(() => divergences.close());
  const deps = {
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    policy,
    divergences,
    ledger: interruptible(ledger, faults),
    keyring,
    expectations,
    verification,
    settings: settingsOf(config),
    ...(redaction === undefined ? {} : { redaction }),
    ...(notifier === undefined ? {} : { notifier }),
    anchors: config.trail?.anchors ?? [],
    taskQueue: temporal.taskQueue,
    workflows: temporalSide,
    freezes,
    faults,
  };
  return { deps, policy, connection, temporalSide };
}

function settingsOf(config: CountersignConfig): Dependencies['settings'] {
  return {
    grantTtlSeconds: config.grantTtlSeconds ?? 60,
    selfApproval: config.selfApproval ?? false,
    lookUpMaxWaitMs: config.lookUpMaxWaitMs ?? 30_000,
    roles: { ...DEFAULT_ROLES, ...config.roles },
    ...(config.passkeys === undefined ? {} : { passkeys: config.passkeys }),
    approvalRateLimit: { ...DEFAULT_APPROVAL_RATE_LIMIT, ...config.approvalRateLimit },
    promotion: promotionOf(config),
    canaries: canarySettingsOf(config.oversight),
  };
}

function promotionOf(config: CountersignConfig): Dependencies['settings']['promotion'] {
  const source = policySourceOf(config);
  const { quorum = 1, withoutEvidence = false } = source.from === 'ledger' ? source : {};
  return { quorum, withoutEvidence };
}

interface Making {
  readonly codePath: string;
  readonly version: WorkerDeploymentVersion | undefined;
  readonly decides: boolean;
  readonly concurrency: number;
  readonly watching: Watching;
  readonly encryption: PayloadEncryption;
}

async function createWorker(
  connection: NativeConnection,
  { namespace, taskQueue }: TemporalSettings,
  activities: Activities,
  { codePath, version, decides, concurrency, watching, encryption }: Making,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace,
    taskQueue,
    dataConverter: encryption.worker,
    ...(decides ? { workflowBundle: { code: await workflowCode(codePath, encryption.on) } } : {}),
    ...(version === undefined
      ? { buildId: await buildIdOf(codePath) }
      : { workerDeploymentOptions: versioningOf(version) }),
    activities: decides ? { ...activities } : toolStepsOf(activities),
    interceptors: { activity: [stepTelemetry(watching)] },
    // Whoever waits for a turn keeps a place that is no other's.
    maxConcurrentLocalActivityExecutions: 2 * concurrency,
    maxConcurrentWorkflowTaskExecutions: 2 * concurrency,
    maxConcurrentActivityTaskExecutions: concurrency,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 4, maximum: 20 },
    // Cancellation reaches a running effect with the answer to a heartbeat, so heartbeats must not be held back for long.
    maxHeartbeatThrottleInterval: '500ms',
    defaultHeartbeatThrottleInterval: '500ms',
    shutdownGraceTime: '10s',
    // A killed worker's actions go to the others after this, not after the default of 10 s.
    stickyQueueScheduleToStartTimeout: '3s',
  });
}

async function stop(worker: Worker, done: Promise<void>): Promise<void> {
  if (worker.getState() === 'RUNNING') worker.shutdown();
  await done;
}

/**
 * Whether this worker decides. One with the private `tool` key alone touches the tools' systems and nothing else: it seals no decision,
 * signs no grant and no receipt.
 *
 * @throws CountersignError KEYS_MISSING
 */
function decidesWith({ sign }: Keyring): boolean {
  const decides = sign.grant !== undefined && sign.receipt !== undefined;
  if (sign.tool !== undefined && (decides || (sign.grant === undefined && sign.receipt === undefined))) return decides;
  throw new CountersignError('KEYS_MISSING', 'A worker needs the private grant, receipt and tool keys.', {
    field: 'keys',
    expected: 'private keys for grant, receipt and tool; for a worker that only touches tools: for tool alone',
    fix: 'Give COUNTERSIGN_KEYS or COUNTERSIGN_KEYS_FILE; `countersign keys extract --for worker` makes such a file.',
  });
}

/** What a worker does that touches the tools' systems and decides nothing. */
function toolStepsOf(all: Activities): object {
  const { propose, previewDryRun, previewCanary, capturePreState, execute, capturePostState } = all;
  return { propose, previewDryRun, previewCanary, capturePreState, execute, capturePostState };
}

async function runUntilStopped(worker: Worker, closing: Closing): Promise<void> {
  try {
    await worker.run();
  } finally {
    await closing.close();
  }
}

/** A worker that could not record an outcome must not start. */
async function assertReady(ledger: Ledger): Promise<void> {
  const { pending, writable } = await ledger.health();
  assertSetUp(pending);
  if (writable) return;
  throw new CountersignError('LEDGER_UNAVAILABLE', 'The ledger is read-only (a standby).', {
    field: 'COUNTERSIGN_LEDGER_URL',
    fix: 'Connect to the primary.',
  });
}

async function connect(temporal: TemporalSettings): Promise<NativeConnection> {
  const { address } = temporal;
  const security = await readSecurity(temporal);
  try {
    return await NativeConnection.connect({ address, ...security });
  } catch (error) {
    throw temporalUnavailable(address, error);
  }
}
