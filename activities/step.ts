/** What every step shares: its timing, its failures as Temporal's, and whose workflow it runs in. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import type { Step, StepTimings } from '../src/action/outcome.js';

/** Collects how long each step took. */
export class Stopwatch {
  readonly #timings: { [step in Step]?: number };

  constructor(earlier: StepTimings = {}) {
    this.#timings = { ...earlier };
  }

  get timings(): StepTimings {
    return this.#timings;
  }

  /** Times that are told for one step add up. */
  add(step: Step, ms: number): void {
    this.#timings[step] = Math.round(((this.#timings[step] ?? 0) + ms) * 10) / 10;
  }

  async time<T>(step: Step, work: () => Promise<T> | T): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.add(step, performance.now() - start);
    }
  }
}

/** Runs an activity's body; what it throws reaches the workflow as an ApplicationFailure with the error view as its detail. */
export async function asActivity<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (thrown) {
    if (thrown instanceof ApplicationFailure) throw thrown;
    const error = asCountersignError(thrown);
    throw ApplicationFailure.create({
      message: error.message,
      type: error.code,
      // A fault of ours may be a passing one; everything else says of itself whether trying again is of use.
      nonRetryable: error.code !== 'INTERNAL' && !error.retryable,
      ...(error.retryable && error.retryAfterMs !== undefined ? { nextRetryDelay: error.retryAfterMs } : {}),
      details: [error.toJSON()],
      ...(thrown instanceof Error ? { cause: thrown } : {}),
    });
  }
}

/** A slow ledger or system is no dead worker. Well under the heartbeat timeouts. Milliseconds. */
const PULSE_MS = 1_000;

/** Says all the while that this worker lives: one that was killed is noticed when it says so no more. */
export async function alive<T>(body: () => Promise<T>): Promise<T> {
  const context = Context.current();
  if (context.info.isLocal) return body();
  const pulse = setInterval(() => context.heartbeat(), PULSE_MS);
  try {
    return await body();
  } finally {
    clearInterval(pulse);
  }
}

/** The tenant and action that the running workflow is about, from the server's own word of its id. */
export function workflowIdentity(): { tenant: string; actionId: string; run: string } {
  const { workflowExecution, activityId } = Context.current().info;
  if (workflowExecution === undefined) throw new CountersignError('INTERNAL', 'The step runs outside a workflow.');
  const { workflowId, runId } = workflowExecution;
  const slash = workflowId.indexOf('/');
  return { tenant: workflowId.slice(0, slash), actionId: workflowId.slice(slash + 1), run: `${runId}/${activityId}` };
}
