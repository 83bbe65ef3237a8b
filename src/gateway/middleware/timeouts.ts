/** How long a request may take, and how long it may wait on purpose. */
import type { Context, MiddlewareHandler } from 'hono';
import { CountersignError } from '../../action/errors.js';
import type { InFlight } from '../server/in-flight.js';
import { withTimeout } from './with-timeout.js';

/** The longest that a request may ask to wait, seconds. */
export const MAX_WAIT_SECONDS = 60;

/** What is not answered in time is given up, and goes on unheard. The answer's body (a stream of events) is not meant. */
export function timeouts({ timeoutMs }: { readonly timeoutMs: number }, requests: InFlight): MiddlewareHandler {
  return async (c, next) => {
    const ms = timeoutMs + waitAsked(c) * 1000;
    await withTimeout(ms, requests.during(next), () => tooLate(ms));
  };
}

/** `?wait=30` or `Prefer: wait=30` (RFC 7240), in seconds; 0 where neither says. What is no such number is for the route to refuse. */
export function waitAsked(c: Context): number {
  const text =
    c.req.query('wait') ?? /(?:^|[,;])\s*wait=(\d{1,4})\s*(?:$|[,;])/i.exec(c.req.header('prefer') ?? '')?.[1];
  const seconds = text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return Math.min(seconds, MAX_WAIT_SECONDS);
}

function tooLate(ms: number): CountersignError {
  return new CountersignError('TIMED_OUT', `The gateway did not answer within ${ms} ms.`, {
    fix: 'Send the request again. To propose again with the same actionId is safe.',
    retryable: true,
  });
}
