/** `countersign/plugin`: Countersign for a Temporal worker of one's own. */
import type { Worker, WorkerOptions as TemporalWorkerOptions, WorkerPlugin } from '@temporalio/worker';
import { temporalSettings } from '../environment.js';
import { payloadEncryption, type PayloadEncryption } from '../privacy/data-converter.js';
import { startWorker, type WorkerOptions } from '../worker/worker.js';
import { createProofActivities, type AgentCredentials } from './proof.js';

/** Countersign's worker, as `startWorker` takes it. Connection and namespace are those of the worker that has the plugin. */
export interface RuntimeOptions extends Omit<WorkerOptions, 'temporal' | 'connection'> {
  /** Its own task queue. Default: COUNTERSIGN_TASK_QUEUE, else `countersign`. */
  readonly taskQueue?: string;
}

/** Which agents the workflows of the worker propose as, and whether Countersign's own worker runs beside it. */
export interface CountersignPluginOptions {
  /**
   * The agents as which workflows of this worker may propose, by the name that `proxyTrustedActions` calls them: each a credential, its text
   * (`csk_…`), or the path of its file. They stay in this process.
   */
  readonly agents: AgentCredentials;
  /** Runs Countersign's own worker in this process too, as long as this one runs. Default: it runs elsewhere. */
  readonly runtime?: RuntimeOptions;
}

/**
 * Adds to a worker what its workflows need to propose: the activity that signs. With `runtime`, Countersign's workflows and activities come
 * into the same process. They keep a task queue of their own: their names meet none of yours, and neither side waits for the other's turn.
 */
export class CountersignPlugin implements WorkerPlugin {
  readonly name = 'CountersignPlugin';
  readonly #agents: AgentCredentials;
  readonly #runtime: RuntimeOptions | undefined;
  /** Of the worker that was configured last: one plugin belongs to one worker. */
  #beside: Pick<TemporalWorkerOptions, 'connection' | 'namespace'> = {};

  constructor({ agents, runtime }: CountersignPluginOptions) {
    this.#agents = agents;
    this.#runtime = runtime;
  }

  /**
   * Where there are payload keys, the whole worker encrypts: what its workflows propose goes to workers that refuse everything else.
   *
   * @throws CountersignError KEYS_MISSING, KEYS_INVALID
   */
  async configureWorker(options: TemporalWorkerOptions): Promise<TemporalWorkerOptions> {
    const { connection, namespace } = options;
    this.#beside = {
      ...(connection === undefined ? {} : { connection }),
      ...(namespace === undefined ? {} : { namespace }),
    };
    const proof = await createProofActivities(this.#agents);
    const encryption = await payloadEncryption(process.env, this.#runtime?.config.privacy);
    return { ...encrypting(options, encryption), activities: { ...options.activities, ...proof } };
  }

  /**
   * Runs the worker and, with `runtime`, Countersign's own: when that dies this one shuts down, and when this one has ended that is stopped.
   *
   * @throws CountersignError what `startWorker` throws, before the worker runs
   */
  async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    if (this.#runtime === undefined) return next(worker);
    const running = await startWorker(besideOf(this.#runtime, this.#beside));
    // Without it no action of this worker's workflows goes on: whoever looks after this process must hear of that.
    running.done.catch(() => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    });
    try {
      await next(worker);
    } finally {
      await running.stop();
    }
  }
}

/** The codecs that the worker has already stay the inner ones; its own failure converter stays. */
function encrypting(options: TemporalWorkerOptions, { on, worker }: PayloadEncryption): TemporalWorkerOptions {
  if (!on) return options;
  const { payloadCodecs = [], ...own } = options.dataConverter ?? {};
  const codecs = [...payloadCodecs, ...(worker.payloadCodecs ?? [])];
  return { ...options, dataConverter: { ...worker, ...own, payloadCodecs: codecs } };
}

function besideOf(
  { taskQueue, ...runtime }: RuntimeOptions,
  { connection, namespace }: Pick<TemporalWorkerOptions, 'connection' | 'namespace'>,
): WorkerOptions {
  const settings = temporalSettings();
  return {
    ...runtime,
    temporal: { ...settings, namespace: namespace ?? 'default', taskQueue: taskQueue ?? settings.taskQueue },
    ...(connection === undefined ? {} : { connection }),
  };
}

export type { AgentCredentials };
