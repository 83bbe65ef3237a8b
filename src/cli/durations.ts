/** Reads lengths of time as people write them. */
import { usageError } from './usage-error.js';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Reads `90d`, `15m`, `500ms` …; returns milliseconds. @throws CountersignError USAGE */
export function parseDuration(text: string, field: string): number {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text.trim()) ?? [];
  const ms = Number(amount) * UNITS[(unit ?? 'ms') as keyof typeof UNITS];
  if (unit !== undefined && ms > 0 && Number.isSafeInteger(ms)) return ms;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is not a duration.`, {
    field,
    expected: 'a whole number with ms, s, m, h, d or w, such as 90d',
    fix: `Write for instance ${field} 90d.`,
  });
}

/** Reads an end: a length of time from now, or an instant to come; returns milliseconds from now. @throws CountersignError USAGE */
export function parseEnd(text: string, field: string): number {
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return parseDuration(text, field);
  const ms = Date.parse(text) - Date.now();
  if (ms > 0) return ms;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is not a time in the future.`, {
    field,
    expected: 'a duration such as 1h, or a time in the future such as 2030-01-31T12:00:00Z',
  });
}
