/** What a worker asks of Temporal beside its tasks: how workflows stand, and the schedule that looks after what was left behind. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  WorkflowNotFoundError,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/common';
import type { WorkerDeploymentVersion } from '@temporalio/common';
import type { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { ActionRequest } from '../../activities/contract.js';
import type { WorkflowStates } from '../../activities/deps.js';
import type { Outcome } from '../action/outcome.js';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { isUnreached } from '../client/connection.js';
import { describeDeployment, promote } from '../client/deployment.js';
import type { TemporalSettings } from '../environment.js';
import type { LedgerAlarm } from '../notify/alarm.js';
import type { PayloadEncryption } from '../privacy/data-converter.js';
import { actionAttributes, MAX_SUMMARY, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';

/** How long the server may take to answer. Milliseconds. */
const ANSWER_MS = 5_000;

export class TemporalSide implements WorkflowStates {
  readonly #client: Client;
  readonly #connection: NativeConnection;
  readonly #settings: TemporalSettings;

  constructor(connection: NativeConnection, settings: TemporalSettings, encryption: PayloadEncryption) {
    const { namespace } = settings;
    this.#client = new Client({ connection, namespace, dataConverter: encryption.client });
    this.#connection = connection;
    this.#settings = settings;
  }

  /** Of the latest run: one that was reset runs again. */
  async state(workflowId: string): Promise<'running' | 'ended' | 'gone'> {
    try {
      const { status } = await this.#answered(() => this.#client.workflow.getHandle(workflowId).describe());
      // Whatever is not known to have ended counts as running.
      return ENDED.has(status.name) ? 'ended' : 'running';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'gone';
      throw error;
    }
  }

  /** As the workflow of the action that it comes of would have. Whatever ended under its id was begun. */
  async begin(tenant: string, request: ActionRequest): Promise<void> {
    const { actionId, tool } = request.proposal;
    try {
      await this.#answered(() =>
        this.#client.workflow.start<(request: ActionRequest) => Promise<Outcome>>('trustedAction', {
          workflowId: `${tenant}/${actionId}`,
          taskQueue: this.#settings.taskQueue,
          args: [request],
          workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
          workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
          staticSummary: `${tool}: ${actionId}`.slice(0, MAX_SUMMARY),
          typedSearchAttributes: actionAttributes(tenant, tool),
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /**
   * Makes the schedule of a round, or brings it up to date; any number of workers may. Each task queue has one of its own, because a
   * tool may be within reach of its own workers only. A server that refuses is logged: actions go on without it, and only what is
   * left behind by workflows that are ended from outside waits for better days, as do checkpoints.
   */
  async scheduleRounds(round: Round, everyMs: number, logger: Logger, options: object = {}): Promise<void> {
    const { taskQueue } = this.#settings;
    const { schedule } = this.#client;
    const scheduleId = `${ROUNDS[round]}/${taskQueue}`;
    const plan = planOf(round, scheduleId, { taskQueue, everyMs, options });
    try {
      await this.#insistently(() => schedule.create({ scheduleId, ...plan }));
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) return unscheduled(scheduleId, error, logger);
      await this.#insistently(() =>
        // Its state is kept: an operator may have paused it.
        schedule.getHandle(scheduleId).update(({ state }) => ({ ...plan, state })),
      ).catch((refused: unknown) => unscheduled(scheduleId, refused, logger));
    }
  }

  /** Removes the schedule of a round that is switched off. Where there is none, nothing happens. */
  async unscheduleRounds(round: Round, logger: Logger): Promise<void> {
    const scheduleId = `${ROUNDS[round]}/${this.#settings.taskQueue}`;
    try {
      await this.#insistently(() => this.#client.schedule.getHandle(scheduleId).delete());
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return;
      logger.warn({ schedule: scheduleId, ...asCountersignError(error).toJSON() }, 'these rounds are still scheduled');
    }
  }

  /**
   * Returns once a version of the deployment is current: another one stays it until somebody promotes this one, and where there is none
   * yet, this worker's becomes it. Without one, no worker of the deployment would get a task.
   *
   * @throws CountersignError CONFIG_INVALID, TEMPORAL_UNAVAILABLE
   */
  async makeFirstCurrent({ deploymentName, buildId }: WorkerDeploymentVersion, logger: Logger): Promise<void> {
    const deadline = Date.now() + KNOWN_MS;
    for (;;) {
      const known = await this.#insistently(() => describeDeployment(this.#client, deploymentName));
      const polls = known?.versions.some((version) => version.buildId === buildId) === true;
      if (polls && known.current !== undefined) {
        if (known.current !== buildId) logger.warn({ deploymentName, buildId, current: known.current }, WAITS);
        return;
      }
      // Others may be as quick: whichever version is first, one is.
      if (polls) await this.#insistently(() => promote(this.#client, deploymentName, buildId));
      else if (Date.now() > deadline) throw unknownVersion(deploymentName, buildId);
      else await delay(LOOK_MS);
    }
  }

  /** Raises an alarm, or says that it lasts: as long as it does, its workflow runs. */
  async raise(alarm: LedgerAlarm): Promise<void> {
    await this.#answered(() =>
      this.#client.workflow.signalWithStart<(alarm: LedgerAlarm) => Promise<void>>('ledgerAlarm', {
        workflowId: `alarm/${alarm.kind}/${alarm.tenant ?? '*'}`,
        taskQueue: this.#settings.taskQueue,
        args: [alarm],
        signal: 'broken',
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      }),
    );
  }

  /** Asks Temporal something else, within seconds. @throws what the question throws */
  ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    return this.#answered(() => question(this.#client));
  }

  /** What a worker arranges when it starts it arranges once: a server that is busy is asked again. */
  async #insistently<T>(call: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + ARRANGED_MS;
    for (;;) {
      try {
        return await this.#answered(call);
      } catch (error) {
        if (!isUnreached(error) || Date.now() > deadline) throw error;
        await delay(LOOK_MS);
      }
    }
  }

  #answered<T>(call: () => Promise<T>): Promise<T> {
    return this.#connection.withDeadline(Date.now() + ANSWER_MS, call);
  }
}

/** For how long a server that does not answer is asked again. Milliseconds. */
const ARRANGED_MS = 15_000;
/** The server learns of a version from its first poll. Milliseconds: how long that may take, and between two looks. */
const KNOWN_MS = 30_000;
const LOOK_MS = 100;

const WAITS = 'this version gets no tasks until it is promoted: `countersign deployment promote`';

function unknownVersion(name: string, buildId: string): CountersignError {
  return new CountersignError('TEMPORAL_UNAVAILABLE', `Temporal did not take up the version ${buildId} of ${name}.`, {
    field: 'deployment',
    fix: 'Check that the server has worker versioning switched on (1.28 or later), or leave `deployment` out.',
    retryable: true,
  });
}

export const RECONCILE_SCHEDULE = 'countersign-reconcile';

export const RETENTION_SCHEDULE = 'countersign-retention';

/** A run of `retention` is bounded, and goes on where the one before stopped. */
export const RETENTION_EVERY_MS = 3_600_000;

/** The workflows that schedules start, and the names of these. */
const ROUNDS = {
  reconcile: RECONCILE_SCHEDULE,
  checkpointTrails: 'countersign-checkpoint',
  retention: RETENTION_SCHEDULE,
  canaryRound: 'countersign-canaries',
} as const;
type Round = keyof typeof ROUNDS;

/** Those that come at a random moment of each interval: who decides must not know a canary by its coming at a quarter past. */
const SCATTERED: ReadonlySet<Round> = new Set(['canaryRound']);

interface Rounds {
  readonly taskQueue: string;
  readonly everyMs: number;
  readonly options: object;
}

function planOf(workflowType: Round, workflowId: string, { taskQueue, everyMs, options }: Rounds) {
  const action: ScheduleOptionsStartWorkflowAction<(options: object) => Promise<unknown>> = {
    type: 'startWorkflow',
    workflowType,
    workflowId,
    taskQueue,
    args: [options],
    workflowExecutionTimeout: '10 minutes',
  };
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' } as const;
  const jitter = SCATTERED.has(workflowType) ? { jitter: everyMs } : {};
  return { spec: { intervals: [{ every: everyMs }], ...jitter }, action, policies };
}

const ENDED: ReadonlySet<string> = new Set(['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT']);

function unscheduled(schedule: string, error: unknown, logger: Logger): void {
  logger.warn({ schedule, ...asCountersignError(error).toJSON() }, 'these rounds are not scheduled');
}
