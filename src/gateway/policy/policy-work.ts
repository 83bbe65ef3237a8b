/** Has jobs on policies done in threads, each with a deadline and a memory limit: no text that somebody writes can hold up the gateway. */
import { Worker } from 'node:worker_threads';
import { CountersignError } from '../../action/errors.js';
import type { Job, Jobs } from './jobs.js';
import type { ThreadAnswer } from './policy-thread.js';

export interface PolicyWorkOptions {
  /** The longest time of a job, the start of its thread included. Milliseconds, default 15 000. */
  readonly deadlineMs?: number;
  /** How many jobs are done at once, and how many may wait. Default 2 and 8. */
  readonly atOnce?: number;
  readonly waiting?: number;
}

/** The thread's module: the built one, or the one that compiles it when this runs from TypeScript source. */
const THREAD = import.meta.url.endsWith('.ts') ? './policy-thread-source.mjs' : './policy-thread.js';
const HEAP_MB = 256;
const LONGEST_MESSAGE = 200;

export class PolicyWork {
  readonly #deadlineMs: number;
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor({ deadlineMs = 15_000, atOnce = 2, waiting = 8 }: PolicyWorkOptions = {}) {
    this.#deadlineMs = deadlineMs;
    this.#atOnce = atOnce;
    this.#mostWaiting = waiting;
  }

  /** @throws CountersignError what the job throws; RATE_LIMITED when too many wait; POLICY_ERROR when it takes too long or too much */
  async ask<Kind extends keyof Jobs>(kind: Kind, asks: Jobs[Kind]['asks']): Promise<Jobs[Kind]['answers']> {
    await this.#turn();
    try {
      return await this.#answer({ kind, ...asks } as unknown as Job);
    } finally {
      // Whoever waits takes the place: it is never free in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= this.#atOnce) {
      if (this.#waiting.length >= this.#mostWaiting) {
        throw new CountersignError('RATE_LIMITED', 'The gateway is at work on other policies.', {
          fix: 'Try again in a few seconds.',
          retryable: true,
          retryAfterMs: 5000,
        });
      }
      return new Promise<void>((turn) => this.#waiting.push(turn));
    }
    this.#running++;
  }

  async #answer<Kind extends keyof Jobs>(job: Job): Promise<Jobs[Kind]['answers']> {
    const worker = new Worker(new URL(THREAD, import.meta.url), {
      name: 'policy',
      workerData: job,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 32 },
    });
    let timer: NodeJS.Timeout | undefined;
    try {
      const message = await new Promise<ThreadAnswer>((resolve, reject) => {
        worker.on('message', resolve);
        worker.on('error', (error) => reject(stopped(`it failed (${error.message.slice(0, LONGEST_MESSAGE)})`, error)));
        worker.on('messageerror', (error) => reject(stopped('its answer cannot be read', error)));
        worker.on('exit', () => reject(stopped('it ended without an answer')));
        timer = setTimeout(() => reject(stopped(`it took longer than ${this.#deadlineMs} ms`)), this.#deadlineMs);
      });
      if ('answer' in message) return message.answer;
      const { code, message: text, ...problem } = message.error;
      throw new CountersignError(code, text, problem);
    } finally {
      clearTimeout(timer);
      await worker.terminate();
    }
  }
}

function stopped(why: string, cause?: unknown): CountersignError {
  return new CountersignError('POLICY_ERROR', `The work on the policy was stopped: ${why}.`, {
    field: 'policy',
    expected: 'a policy that is read and evaluated within seconds',
    fix: 'Use the command line for a policy of this size: countersign policy diff, countersign policy backtest.',
    ...(cause === undefined ? {} : { cause }),
  });
}
