/**
 * Durations as people write and read them: `30s`, `15m`, `4h`, `1h30m`, `7d`. One notation for policies, limits, options of commands and pages.
 *
 * `ms` and `parse-duration` are not used: they take `1.5`, `1 yr` and a bare number, which a policy must refuse.
 */

const UNITS = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Each unit at most once, the largest first. */
const NOTATION = new RegExp(`^${UNITS.map(([unit]) => `(?:(\\d{1,9})${unit})?`).join('')}$`);

export const DAY_SECONDS = 86_400;

/** Milliseconds, at least 1; undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const amounts = NOTATION.exec(text)?.slice(1) as (string | undefined)[] | undefined;
  if (amounts === undefined || text === '') return undefined;
  const ms = UNITS.reduce((sum, [, unitMs], index) => sum + Number(amounts[index] ?? 0) * unitMs, 0);
  return ms > 0 && Number.isSafeInteger(ms) ? ms : undefined;
}

/** Whole seconds, at least 1; undefined when the text is no such duration. */
export function parseSeconds(text: string): number | undefined {
  const seconds = (parseDuration(text) ?? 0) / 1000;
  return Number.isInteger(seconds) && seconds > 0 ? seconds : undefined;
}

/** `3h 20m`, `2m`, `40s`: the two largest units, of whole seconds. Rounded up: who waits for so long has waited long enough. */
export function formatDuration(ms: number): string {
  let rest = Math.max(0, Math.ceil(ms / 1000)) * 1000;
  const parts: string[] = [];
  for (const [unit, unitMs] of UNITS.slice(1, 5)) {
    const amount = Math.floor(rest / unitMs);
    rest %= unitMs;
    if (amount > 0) parts.push(`${amount}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.length === 0 ? '0s' : parts.slice(0, 2).join(' ');
}

/** How long a step took: `3.1 ms`, `1.2 s`. */
export function formatLatency(ms: number): string {
  if (!Number.isFinite(ms)) return '?';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 10 ? Math.round(ms) : Math.round(ms * 10) / 10} ms`;
}
