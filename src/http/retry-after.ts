/** What an answer says of when to come again. */
import { one } from './body.js';
import type { Answer } from './wire.js';

/** The longest time that an answer can state: nobody waits longer. A year, in milliseconds. */
export const LONGEST_STATED_MS = 366 * 86_400_000;

/**
 * What Retry-After says, bounded. RFC 9110, section 10.2.3: seconds, or a date, which is compared with the service's own clock where it
 * states it. Milliseconds; undefined when it states no time to come, so that nobody takes 0 for leave to come back at once.
 */
export function retryAfter({ headers }: Pick<Answer, 'headers'>, most: number): number | undefined {
  const text = one(headers['retry-after'])?.trim();
  if (text === undefined || text === '') return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : dateOf(text) - (dateOf(one(headers['date'])) || Date.now());
  return ms > 0 ? Math.min(ms, most) : undefined;
}

/** Milliseconds since the epoch; NaN when the text is no HTTP date. */
function dateOf(text = ''): number {
  return /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : NaN;
}
