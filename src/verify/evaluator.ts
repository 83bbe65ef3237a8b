/** Evaluates expectations in a thread of its own, with a deadline and a memory limit, so that none can stop or end the process. */
import { Worker } from 'node:worker_threads';
import { CountersignError } from '../action/errors.js';
import type { Json } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { Delta, State } from '../action/snapshot.js';
import type { CelLimits } from '../cel/budget.js';
import type { Program } from '../cel/program.js';
import type { EvaluationJob, ThreadMessage, EvaluationResult } from './evaluator-thread.js';
import type { Expectation } from './expectation.js';

/** What an expectation reads. */
export interface ExpectationValues {
  readonly pre: State;
  readonly post: State;
  readonly delta: Delta;
  /** What the tool returned; null when that is not known. */
  readonly result: Json;
}

export interface ExpectationRunnerOptions {
  /** Longest one evaluation may take, milliseconds from when the thread has it. Default 1000. */
  readonly deadlineMs?: number;
  /** Evaluations that may wait for the thread; one more is a failed check. Default 1000. */
  readonly queueLimit?: number;
  /** Heap of the thread, MiB. Default 512, and what the least favourable state needs; less only makes the refusal come earlier. */
  readonly heapMb?: number;
}

/** The thread's module: as built, or where this runs from TypeScript source, the one that compiles it. */
const THREAD = import.meta.url.endsWith('.ts') ? './evaluator-thread-source.mjs' : './evaluator-thread.js';

/** A thread that is not ready by then is given up. Only a machine in distress is that slow: it takes 100 ms. */
const START_LIMIT_MS = 30_000;

/** Characters of JSON that the thread is sent for one evaluation; parsed, even the least favourable JSON stays under its heap. */
const MAX_JSON_CHARS = 16 * 1024 * 1024;

/** Measured: 5 million steps take 0.5 to 1.5 seconds. */
const LIMITS: CelLimits = {
  steps: 5_000_000,
  text: 1024 * 1024,
  items: 100_000,
  // The thread's deadline is kept from outside.
  matched: Infinity,
  milliseconds: Infinity,
};

/** What the thread can evaluate: a checked program, and the names that it reads. */
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
 * Holds one thread, started when it is first needed and replaced when it had to be ended. Evaluations queue for it. It never keeps
 * the process alive on its own.
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
   * Says whether the expectation holds, as its check. Never rejects: an error, another value than true, and a limit
   * exceeded (time, steps, memory) are a failed check whose detail says what happened.
   */
  async evaluate(expectation: Expectation, values: ExpectationValues): Promise<Check> {
    const { ok, detail } = await this.judge(expectation, { ...values });
    return ok
      ? { name: expectation.check, ok }
      : { name: expectation.check, ok, detail: `The expectation ${detail ?? 'does not hold'}.` };
  }

  /**
   * Evaluates the expectation as if the action had changed nothing, only to see what it costs. For before the effect; whether it
   * holds does not matter.
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

  /** Evaluates anything that compiled, over what it reads. Never rejects. */
  judge(evaluable: Evaluable, values: Values): Promise<EvaluationResult> {
    if (this.#closed || this.#queue.length >= this.#queueLimit) {
      const why = this.#closed ? 'the evaluator is closed' : `${this.#queueLimit} others wait`;
      return Promise.resolve({ ok: false, costly: false, detail: `was not evaluated: ${why}` });
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

  /** Several expectations of an action read the same states, which do not change. */
  #textOf(value: unknown): string {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    let text = this.#texts.get(value);
    if (text === undefined) {
      text = JSON.stringify(value);
      this.#texts.set(value, text);
    }
    return text;
  }

  /** Ends the thread and settles the job if it is still the same one after the time. */
  #limit(ms: number, verdict: EvaluationResult): void {
    clearTimeout(this.#timer);
    const job = this.#job;
    // When this thread was the busy one, the answer may have come long ago: a turn of the loop lets it be read first.
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
