/** What an answer says of when to come again. */
import { one } from './body.js';
import type { Answer } from './wire.js';

/** What Retry-After says, bounded. RFC 9110, section 10.2.3: seconds, or a date. Milliseconds. */
export function retryAfter({ headers }: Pick<Answer, 'headers'>, most: number): number | undefined {
  const text = one(headers['retry-after'])?.trim();
  if (text === undefined || text === '') return undefined;
  const date = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) - Date.now() : NaN;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : date;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), most);
}
