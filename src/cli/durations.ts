/** Lengths of time as people write and read them. */
import { usage } from './usage.js';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Reads `90d`, `15m`, `500ms` …; returns milliseconds. @throws CountersignError USAGE */
export function parseDuration(text: string, field: string): number {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text.trim()) ?? [];
  const ms = Number(amount) * UNITS[(unit ?? 'ms') as keyof typeof UNITS];
  if (unit !== undefined && ms > 0 && Number.isSafeInteger(ms)) return ms;
  throw usage(`${JSON.stringify(text.slice(0, 40))} is not a length of time.`, {
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
  throw usage(`${JSON.stringify(text.slice(0, 40))} is no instant to come.`, {
    field,
    expected: 'a length of time such as 1h, or an instant to come such as 2030-01-31T12:00:00Z',
  });
}

/** `3 d 4 h`, `2 min`, `40 s`: the two largest units, for people. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** Time that a step took: `3.1 ms`, `1.2 s`. */
export function latency(ms: number): string {
  if (!Number.isFinite(ms)) return '?';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 10 ? Math.round(ms) : Math.round(ms * 10) / 10} ms`;
}
