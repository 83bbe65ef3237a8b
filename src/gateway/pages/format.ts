/** Numbers, times and lengths of time as people read them. */

export { formatDuration as duration, formatLatency as latency } from '../../action/duration.js';

export function count(value: number): string {
  return value.toLocaleString('en');
}

export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

/** `21 Nov 2026, 16:58 UTC`. Whatever is no time is given back. */
export function instant(rfc3339: string): string {
  const at = new Date(rfc3339);
  return Number.isNaN(at.getTime()) ? rfc3339 : `${DAY.format(at)}, ${CLOCK.format(at)} UTC`;
}

/** `4 min left`; the browser keeps it up to date. */
export function left(until: string, now: Date): string {
  const ms = Date.parse(until) - now.getTime();
  return ms > 0 ? `${coarse(ms)} left` : 'time is over';
}

export function ago(since: string, now: Date): string {
  const ms = now.getTime() - Date.parse(since);
  return ms < 45_000 ? 'just now' : `${coarse(ms)} ago`;
}

/** The largest unit alone, except that hours keep their minutes. The same in inbox.js. */
export function coarse(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 10) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How soon somebody must look: `over`, `now` (under 15 minutes), `soon` (under 2 hours), `later`. */
export function urgency(until: string, now: Date): 'over' | 'now' | 'soon' | 'later' {
  const minutes = (Date.parse(until) - now.getTime()) / 60_000;
  if (minutes <= 0) return 'over';
  if (minutes < 15) return 'now';
  return minutes < 120 ? 'soon' : 'later';
}

/** Names in a sentence: `dba`, `dba or lead`, `a, b or c`. */
export function either(names: readonly string[], word = 'or'): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}

export function isProduction(environment: string): boolean {
  return /^prod/i.test(environment);
}
