/** Lengths of time as policy files write them: `30s`, `15m`, `4h`, `7d`. */
const DURATION = /^([1-9]\d{0,8})([smhd])$/;
const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

export const DAY_SECONDS = UNIT_SECONDS.d;

/** Seconds, at least 1; undefined when the text is none. */
export function parseSeconds(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS];
}

/** `3h 20m`, `2m`, `40s`: the two largest units, rounded up. */
export function durationText(ms: number): string {
  let rest = Math.max(1, Math.ceil(ms / 1000));
  const parts: string[] = [];
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const amount = Math.floor(rest / UNIT_SECONDS[unit]);
    rest %= UNIT_SECONDS[unit];
    if (amount > 0) parts.push(`${amount}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(' ');
}
