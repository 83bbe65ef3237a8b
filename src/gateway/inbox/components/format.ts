/** Numbers, times and lengths of time as people read them. */

export { formatDuration as duration, formatLatency as latency } from '../../../action/duration.js';
export { ago, coarse, left, urgency } from '../static/time-text.js';

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

/** Names in a sentence: `dba`, `dba or lead`, `a, b or c`. */
export function either(names: readonly string[], word = 'or'): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}

export function isProduction(environment: string): boolean {
  return /^prod/i.test(environment);
}
