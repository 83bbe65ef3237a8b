/** Opens what the activities of a worker stand on, once the ledger is known to take what they record. */
import { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Dependencies } from '../../activities/index.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Closing } from '../closing.js';
import { temporalUnavailable } from '../client/connection.js';
import {
  DEFAULT_APPROVAL_RATE_LIMIT,
  DEFAULT_ROLES,
  policySourceOf,
  type CountersignConfig,
} from '../config/config.js';
import { canarySettingsOf } from '../config/oversight.js';
import { isProduction, type TemporalSettings } from '../environment.js';
import { assertSetUp, type Ledger } from '../ledger/index.js';
import { Notifier } from '../notify/notifier.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import { openRedaction } from '../privacy/open-redaction.js';
import { readSecurity } from '../temporal-security.js';
import type { Tool } from '../tools/tool.js';
import { ExpectationRunner } from '../verify/index.js';
import { withAcceptedPins } from './accepted-pins.js';
import { interruptible, NO_FAULTS } from './faults.js';
import { LedgerFreezeWatch } from './freeze-watch.js';
import type { WorkerOptions } from './options.js';
import { openPolicy, type WorkerPolicy } from './policy-source.js';
import { startRadars } from './radars.js';
import { ShadowLimits } from './shadow-limits.js';
import { ShadowRecorder } from './shadow-recorder.js';
import { TemporalSide } from './temporal-side.js';

interface Assembled {
  readonly deps: Omit<Dependencies, 'refusals'>;
  readonly policy: WorkerPolicy;
  readonly connection: NativeConnection;
  readonly temporalSide: TemporalSide;
}

export async function assemble(
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
