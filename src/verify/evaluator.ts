/** Evaluates expectations in a separate thread, with a deadline and a memory limit, so that none can block or crash the process. */
import { Worker } from 'node:worker_threads';
import { CountersignError } from '../action/errors.js';
import type { Json } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { Delta, State } from '../action/snapshot.js';
import type { CelLimits } from '../cel/budget.js';
import type { Program } from '../cel/program.js';
import type { EvaluationJob, ThreadMessage, EvaluationResult } from './evaluator-thread.js';
import type { Expectation } from './expectation.js';

/** The values that an expectation reads. */
export interface ExpectationValues {
  readonly pre: State;
  readonly post: State;
  readonly delta: Delta;
  /** The result of the tool; null when it is not known. */
  readonly result: Json;
}

export interface ExpectationRunnerOptions {
  /** The longest time of one evaluation, from when the thread gets it. Milliseconds, default 1000. */
  readonly deadlineMs?: number;
  /** How many evaluations may wait for the thread; one more is a failed check. Default 1000. */
  readonly queueLimit?: number;
  /** The thread's heap. MiB, default 512, which is enough for the least favourable state; with less, evaluations are refused earlier. */
  readonly heapMb?: number;
}

/** The thread's module: the built one, or the one that compiles it when this runs from TypeScript source. */
const THREAD = import.meta.url.endsWith('.ts') ? './evaluator-thread-source.mjs' : './evaluator-thread.js';

/** A thread that is not ready by then is ended. Normally it takes 100 ms; only an overloaded machine is that slow. */
const START_LIMIT_MS = 30_000;

/** The most characters of JSON for one evaluation. Even the least favourable JSON of this size fits into the thread's heap. */
const MAX_JSON_CHARS = 16 * 1024 * 1024;

/** Measured: 5 million steps take 0.5 to 1.5 seconds. */
const LIMITS: CelLimits = {
  steps: 5_000_000,
  text: 1024 * 1024,
  items: 100_000,
  // The runner enforces the deadline from outside the thread.
  matched: Infinity,
  milliseconds: Infinity,
};

/** An expression that the thread can evaluate: a checked program, and the names that it reads. */
export interface Evaluable {
  readonly program: Program;
  readonly uses: readonly string[];
}

type Values = Readonly<Record<string, unknown>>;

interface Job {
  readonly evaluable: Evaluable;
  readonly values: Values;
  readonly settle: (verdict: EvaluationResult) => void;
}

interface Thread {
  readonly worker: Worker;
  ready: boolean;
}

/**
 * Evaluates expectations in one thread, which is started when it is first needed and replaced after it had to be ended. Evaluations queue
 * for it. The thread does not keep the process alive.
 */
export class ExpectationRunner {
  readonly #deadlineMs: number;
  readonly #queueLimit: number;
  readonly #heapMb: number;
  readonly #queue: Job[] = [];
  readonly #texts = new WeakMap<object, string>();
  #thread: Thread | undefined;
  #job: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ deadlineMs = 1000, queueLimit = 1000, heapMb = 512 }: ExpectationRunnerOptions = {}) {
    this.#deadlineMs = deadlineMs;
    this.#queueLimit = queueLimit;
    this.#heapMb = heapMb;
  }

  /**
   * Evaluates an expectation and returns its check. Never rejects: an error, a value other than true, and an exceeded limit (time, steps,
   * memory) are a failed check whose detail says what happened.
   */
  async evaluate(expectation: Expectation, values: ExpectationValues): Promise<Check> {
    const { ok, detail } = await this.judge(expectation, { ...values });
    return ok
      ? { name: expectation.check, ok }
      : { name: expectation.check, ok, detail: `The expectation ${detail ?? 'does not hold'}.` };
  }

  /**
   * Evaluates the expectation as if the action had changed nothing, only to measure its cost before the effect. Whether it holds does not
   * matter.
   *
   * @throws CountersignError INVALID_EXPECTATION when it exceeds a limit
   */
  async rehearse(expectation: Expectation, pre: State): Promise<void> {
    const delta: Delta = { patch: [], operations: 0, latencyMs: 0 };
    const verdict = await this.judge(expectation, { pre, post: pre, delta, result: null });
    if (!verdict.costly) return;
    const name = expectation.check.slice('expect.'.length);
    const subject = name === '' ? 'The expectation' : `The expectation ${name}`;
    throw new CountersignError('INVALID_EXPECTATION', `${subject} ${verdict.detail ?? 'is too costly'}.`, {
      field: 'proposal.expect',
      expected: `an expression that is evaluated within ${this.#deadlineMs} ms and ${LIMITS.steps} steps on the captured state`,
      fix: 'Name the rows that matter instead of searching all of them, and do not nest comprehensions over tables.',
    });
  }

  /** Ends the thread. Evaluations that wait, and later ones, are failed checks. */
  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#thread?.worker;
    this.#dropThread();
    const closed: EvaluationResult = { ok: false, costly: false, detail: 'was not evaluated: the evaluator is closed' };
    this.#settle(closed);
    for (const job of this.#queue.splice(0)) job.settle(closed);
    await worker?.terminate();
  }

  /** Evaluates any compiled expression on the values that it reads. Never rejects. */
  judge(evaluable: Evaluable, values: Values): Promise<EvaluationResult> {
    if (this.#closed || this.#queue.length >= this.#queueLimit) {
      const problem = this.#closed ? 'the evaluator is closed' : `${this.#queueLimit} others wait`;
      return Promise.resolve({ ok: false, costly: false, detail: `was not evaluated: ${problem}` });
    }
    return new Promise((settle) => {
      this.#queue.push({ evaluable, values, settle });
      this.#next();
    });
  }

  #next(): void {
    if (this.#job !== undefined) return;
    this.#job = this.#queue.shift();
    if (this.#job === undefined) {
      this.#thread?.worker.unref();
      return;
    }
    this.#thread ??= this.#startThread();
    this.#thread.worker.ref();
    if (this.#thread.ready) this.#send(this.#thread, this.#job);
    else
      this.#limit(START_LIMIT_MS, {
        ok: false,
        costly: false,
        detail: 'was not evaluated: the evaluator did not start',
      });
  }

  #startThread(): Thread {
    const worker = new Worker(new URL(THREAD, import.meta.url), {
      name: 'expectations',
      workerData: LIMITS,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#heapMb, maxYoungGenerationSizeMb: 32 },
    });
    const thread: Thread = { worker, ready: false };
    worker.on('message', (message: ThreadMessage) => {
      if (this.#thread !== thread) return;
      if ('verdict' in message) return this.#settle(message.verdict);
      thread.ready = true;
      if (this.#job !== undefined) this.#send(thread, this.#job);
    });
    worker.on('error', (error) => this.#lose(thread, error));
    worker.on('messageerror', (error) => this.#lose(thread, error));
    worker.on('exit', () => this.#lose(thread));
    return thread;
  }

  #send({ worker }: Thread, { evaluable, values }: Job): void {
    try {
      const texts = Object.fromEntries(evaluable.uses.map((root) => [root, this.#textOf(values[root] ?? null)]));
      const chars = Object.values(texts).reduce((sum, text) => sum + text.length, 0);
      if (chars > MAX_JSON_CHARS) {
        const detail = `is too costly: it reads ${chars} characters of JSON, at most ${MAX_JSON_CHARS} can be`;
        return this.#settle({ ok: false, costly: true, detail });
      }
      const job: EvaluationJob = { program: evaluable.program, values: texts };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(job);
    } catch (error) {
      return this.#settle({ ok: false, costly: false, detail: `cannot be evaluated: ${(error as Error).message}` });
    }
    this.#limit(this.#deadlineMs, { ok: false, costly: true, detail: `took longer than ${this.#deadlineMs} ms` });
  }

  /** The JSON of a value, cached because several expectations of an action read the same states, which do not change. */
  #textOf(value: unknown): string {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    let text = this.#texts.get(value);
    if (text === undefined) {
      text = JSON.stringify(value);
      this.#texts.set(value, text);
    }
    return text;
  }

  /** After the time, ends the thread and settles the job, if it is still the same job. */
  #limit(ms: number, verdict: EvaluationResult): void {
    clearTimeout(this.#timer);
    const job = this.#job;
    // When this thread itself was busy, the result may have arrived long ago. One turn of the event loop lets it be read first.
    this.#timer = setTimeout(() => {
      setImmediate(() => {
        if (this.#job !== job) return;
        this.#dropThread();
        this.#settle(verdict);
      });
    }, ms);
  }

  /** The thread ended on its own. */
  #lose(thread: Thread, error?: NodeJS.ErrnoException): void {
    if (this.#thread !== thread) return;
    this.#dropThread();
    const outOfMemory = error?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const detail = outOfMemory
      ? 'took too much memory'
      : `was not evaluated: the evaluator ended${error === undefined ? '' : ` (${error.message})`}`;
    this.#settle({ ok: false, costly: outOfMemory, detail });
  }

  #dropThread(): void {
    const worker = this.#thread?.worker;
    this.#thread = undefined;
    void worker?.terminate();
  }

  #settle(verdict: EvaluationResult): void {
    clearTimeout(this.#timer);
    const job = this.#job;
    this.#job = undefined;
    job?.settle(verdict);
    if (!this.#closed) this.#next();
  }
}
