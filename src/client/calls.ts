/** Calls to Temporal: bounded in time, and with failures that say what to do. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { TemporalSettings } from '../environment.js';
import { actionHandle, type TrustedAction } from './action.js';
import { isBusy, timedOut, translated } from './failures.js';

/** The pauses before a call is repeated, in milliseconds: the first, and the longest. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export class Calls {
  readonly #temporal: Client;
  readonly #settings: TemporalSettings;

  constructor(temporal: Client, settings: TemporalSettings) {
    this.#temporal = temporal;
    this.#settings = settings;
  }

  /** @throws CountersignError TIMED_OUT, and what the call fails of */
  async within<T>(subject: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
    return this.#until(performance.now() + timeoutMs, subject, timeoutMs, call);
  }

  /**
   * For a call that is safe to repeat: while Temporal says that it cannot be answered at this moment, it is made again until the time is over.
   *
   * @throws CountersignError as `within` does
   */
  async repeatedWithin<T>(subject: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        return await this.#until(deadline, subject, timeoutMs, call);
      } catch (error) {
        if (!isBusy(error) || performance.now() + pause >= deadline) throw error;
        // Callers who were turned away together do not come back together.
        await delay(pause * (0.5 + Math.random() / 2));
      }
    }
  }

  /** Without a limit in time. @throws CountersignError */
  async unbounded<T>(subject: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw translated(error, subject, this.#settings);
    }
  }

  /** Without a limit in time, on the workflow of an action. @throws CountersignError NOT_FOUND and others */
  async onAction<T>(
    tenant: string,
    actionId: string,
    call: (handle: WorkflowHandle<TrustedAction>) => Promise<T>,
  ): Promise<T> {
    return this.unbounded(actionId, () => call(actionHandle(this.#temporal, tenant, actionId)));
  }

  async #until<T>(deadline: number, subject: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), deadline - performance.now());
    try {
      return await this.#temporal.connection.withAbortSignal(controller.signal, call);
    } catch (error) {
      if (controller.signal.aborted) throw timedOut(subject, timeoutMs, error);
      throw translated(error, subject, this.#settings);
    } finally {
      clearTimeout(timer);
    }
  }
}
