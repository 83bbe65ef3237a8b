/**
 * Has vitest try one mutant after the other in one thread, which has loaded every module already. Loading them anew for each mutant takes ten times
 * as long as the tests that cover it.
 */
import type { Plugin } from 'vite';
import {
  ThreadsPoolWorker,
  type PoolOptions,
  type PoolWorker,
  type TestProject,
  type WorkerRequest,
} from 'vitest/node';

const NAME = 'kept-thread';

/** A thread is replaced after so many runs, which bounds what it remembers of them. */
const RUNS_PER_THREAD = Number(process.env['MUTATION_RUNS_PER_THREAD'] ?? 100);

/** What hears of the events of a thread. */
type Listener = Parameters<PoolWorker['on']>[1];

class Thread {
  readonly worker: ThreadsPoolWorker;
  runs = 0;
  usable = true;

  private constructor(worker: ThreadsPoolWorker) {
    this.worker = worker;
  }

  static async start(options: PoolOptions): Promise<Thread> {
    const worker = new ThreadsPoolWorker(options);
    await worker.start();
    const thread = new Thread(worker);
    for (const event of ['error', 'exit']) {
      worker.on(event, () => {
        thread.usable = false;
      });
    }
    return thread;
  }
}

let kept: Thread | undefined;

/** One run of vitest in the thread that is kept. The thread does not end with it. */
class RunInKeptThread implements PoolWorker {
  readonly name = NAME;
  readonly #options: PoolOptions;
  readonly #listeners: { readonly event: string; readonly listener: Listener }[] = [];
  #thread: Thread | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (kept !== undefined && (kept.runs >= RUNS_PER_THREAD || !kept.usable || isStatic(this.#options.project)))
      await end();
    kept ??= await Thread.start(this.#options);
    kept.runs += 1;
    this.#thread = kept;
  }

  async stop(): Promise<void> {
    for (const { event, listener } of this.#listeners.splice(0)) this.#worker.off(event, listener);
    if (isStatic(this.#options.project)) await end();
  }

  on(event: string, listener: Listener): void {
    this.#listeners.push({ event, listener });
    this.#worker.on(event, listener);
  }

  off(event: string, listener: Listener): void {
    this.#worker.off(event, listener);
  }

  send(message: WorkerRequest): void {
    if (message.type !== 'stop') return this.#worker.send(message);
    const stopped = { type: 'stopped', __vitest_worker_response__: true };
    for (const { event, listener } of this.#listeners) if (event === 'message') listener(stopped);
  }

  deserialize(data: unknown): unknown {
    return data;
  }

  get #worker(): ThreadsPoolWorker {
    if (this.#thread === undefined) throw new Error('The run has no thread yet.');
    return this.#thread.worker;
  }
}

async function end(): Promise<void> {
  const ended = kept;
  kept = undefined;
  await ended?.worker.stop().catch(() => undefined);
}

/** Whether the mutant is in what a module does when it is loaded: it needs a thread that has not loaded it yet. */
function isStatic(project: TestProject): boolean {
  return (project.getProvidedContext() as unknown as Record<string, unknown>)['mutantActivation'] === 'static';
}

export function keptThread(): Plugin {
  return {
    name: 'kept-thread',
    configureVitest({ project, vitest }) {
      vitest.onClose(end);
      // Set here, because Stryker asks for a pool of vitest's own, whatever a config says.
      project.config.pool = NAME;
      project.config.poolRunner = { name: NAME, createPoolWorker: (options) => new RunInKeptThread(options) };
    },
  };
}
