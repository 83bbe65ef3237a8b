/** Reads options of commands that are durations. */
import { parseDuration } from '../action/duration.js';
import { usageError } from './usage-error.js';

/** Reads `90d`, `15m`, `500ms` …; returns milliseconds. @throws CountersignError USAGE */
export function durationOption(text: string, field: string): number {
  const ms = parseDuration(text.trim());
  if (ms !== undefined) return ms;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is not a duration.`, {
    field,
    expected: 'whole numbers with w, d, h, m, s or ms, such as 90d or 1h30m',
    fix: `Write for instance ${field} 90d.`,
  });
}

/** Reads an end: a duration from now, or an instant in the future; returns milliseconds from now. @throws CountersignError USAGE */
export function endOption(text: string, field: string): number {
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return durationOption(text, field);
  const ms = Date.parse(text) - Date.now();
  if (ms > 0) return ms;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is not in the future.`, {
    field,
    expected: 'a duration such as 1h, or an instant in the future such as 2030-01-31T12:00:00Z',
  });
}
