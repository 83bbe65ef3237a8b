/** How actions are waited for: no request longer than what stands between lets through, none at once after another. */
import { CountersignError } from './errors.js';
import { delay } from './retry-after.js';
import type { Answer } from './transport.js';

/** A gateway that is being stopped answers sooner than it was asked to: it is not asked at once again. */
const LEAST_PAUSE_MS = 1000;

/** The longest that one request asks to wait: what stands between may close what is silent for a minute. Seconds. */
const POLL_SECONDS = 30;

/** When the caller gives up, by `Date.now()`; or earlier, by a signal. */
export interface Until {
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

export function waitSecondsUntil(deadline: number): number {
  return Math.min(POLL_SECONDS, Math.max(0, Math.floor((deadline - Date.now()) / 1000)));
}

export async function pause({ tookMs }: Answer, { deadline, signal }: Until): Promise<void> {
  const pauseMs = Math.min(LEAST_PAUSE_MS - tookMs, deadline - Date.now());
  if (pauseMs > 0) await delay(pauseMs, signal);
}

export function pathOf(actionId: string): string {
  return `/v1/actions/${encodeURIComponent(actionId)}`;
}

export function sagaPath(traceId: string): string {
  return `/v1/sagas/${encodeURIComponent(traceId)}`;
}

/** @param id of the action, or the `traceId` of the saga */
export function timedOut(id: string): CountersignError {
  return new CountersignError('TIMED_OUT', `No answer on ${id} in time; it goes on regardless.`, {
    fix: `Ask again with the same id (${id}): that is safe.`,
    retryable: true,
  });
}
