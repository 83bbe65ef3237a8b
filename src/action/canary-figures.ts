/** What became of the canaries of a period: by the people who decided on them, and by the roles and rules that were asked. */
import type { Canary } from './canary.js';

export interface CanaryFigures {
  readonly shown: number;
  /** Denied, or changes asked for. */
  readonly refused: number;
  readonly approved: number;
  /** Nobody decided in time. */
  readonly ignored: number;
  /** Half of the decisions took at most this long. Seconds. Absent without any. */
  readonly medianSeconds?: number;
}

export interface CanaryGroup extends CanaryFigures {
  readonly name: string;
}

export interface CanaryOversight {
  /** Those that wait and those that were taken back are not among them. */
  readonly total: CanaryFigures;
  /** Of those that somebody decided on: what nobody did is nobody's in particular. Most first. */
  readonly approvers: readonly CanaryGroup[];
  readonly roles: readonly CanaryGroup[];
  readonly rules: readonly CanaryGroup[];
}

/** @param now what waits for longer than it may, and was never closed, is ignored by then */
export function canaryOversightOf(canaries: readonly Canary[], now: Date): CanaryOversight {
  const over = canaries.filter((one) => verdictOf(one, now) !== undefined);
  const groups = (namesOf: (one: Canary) => readonly string[]): CanaryGroup[] => {
    const byName = new Map<string, Canary[]>();
    for (const one of over)
      for (const name of new Set(namesOf(one))) byName.set(name, [...(byName.get(name) ?? []), one]);
    return [...byName]
      .map(([name, own]) => ({ name, ...figuresOf(own, now) }))
      .sort((a, b) => b.shown - a.shown || (a.name < b.name ? -1 : 1));
  };
  return {
    total: figuresOf(over, now),
    approvers: groups(({ decision }) => (decision === undefined ? [] : [decision.record.approver.toLowerCase()])),
    roles: groups(({ decision, roles }) =>
      decision === undefined ? roles : roles.filter((role) => decision.record.roles.includes(role)),
    ),
    rules: groups(({ rules }) => rules),
  };
}

function verdictOf({ ending, decision, expiresAt }: Canary, now: Date): 'approved' | 'refused' | 'ignored' | undefined {
  if (decision !== undefined) return decision.record.verdict === 'approve' ? 'approved' : 'refused';
  if (ending === 'withdrawn') return undefined;
  return ending === 'expired' || Date.parse(expiresAt) <= now.getTime() ? 'ignored' : undefined;
}

function figuresOf(canaries: readonly Canary[], now: Date): CanaryFigures {
  const of = (verdict: 'approved' | 'refused' | 'ignored'): number =>
    canaries.filter((one) => verdictOf(one, now) === verdict).length;
  const waited = canaries.flatMap(({ decision }) => decision?.waitedSeconds ?? []).sort((a, b) => a - b);
  const middle = (waited.length - 1) / 2;
  const median = ((waited[Math.floor(middle)] ?? 0) + (waited[Math.ceil(middle)] ?? 0)) / 2;
  return {
    shown: canaries.length,
    refused: of('refused'),
    approved: of('approved'),
    ignored: of('ignored'),
    ...(waited.length === 0 ? {} : { medianSeconds: median }),
  };
}
