/**
 * How people use their authority: how often each approver, role and rule got a yes, and how long it took, beside everybody's figures and
 * beside their own of the period before. A yes to everything within seconds is no oversight, and nobody sees it in a single decision.
 */
import type { Verdict } from './outcome.js';

/** A decision that a person signed, as the ledger recorded it. */
export interface OverseenDecision {
  readonly person: string;
  readonly verdict: Verdict;
  /** Those of the person that the request asked for; all of the person's where the request is not known any more. */
  readonly roles: readonly string[];
  /** Ids of the rules that the person was asked by. */
  readonly rules: readonly string[];
  /** From when it was first asked. Absent where nothing had been asked. */
  readonly waitedSeconds?: number;
  /** Among too many in too short a time: it counted only beside one more person's. */
  readonly overRateLimit: boolean;
  /** Too fast to count at all. */
  readonly refused: boolean;
  /** RFC 3339 UTC. */
  readonly at: string;
}

export interface OversightFigures {
  readonly decisions: number;
  readonly approved: number;
  readonly denied: number;
  readonly changesRequested: number;
  /** Signed too fast: more people had to say yes, or it did not count. */
  readonly tooFast: number;
  /** Approved of all decisions, 0 to 1. Absent without any. */
  readonly yesRate?: number;
  /** Half of the decisions took at most this long, and a tenth. Seconds. Absent where nothing had been asked. */
  readonly medianSeconds?: number;
  readonly p10Seconds?: number;
}

export const OVERSIGHT_FINDINGS = [
  'always_yes',
  'fast',
  'more_yes_than_before',
  'faster_than_before',
  'too_fast',
] as const;
export type OversightFinding = (typeof OVERSIGHT_FINDINGS)[number];

export interface OversightGroup extends OversightFigures {
  readonly name: string;
  /** Of the same length of time before. */
  readonly before: OversightFigures;
  readonly findings: readonly OversightFinding[];
}

export interface Oversight {
  readonly total: OversightGroup;
  /** Most decisions first. */
  readonly approvers: readonly OversightGroup[];
  readonly roles: readonly OversightGroup[];
  readonly rules: readonly OversightGroup[];
}

/** Fewer decisions say nothing of a person. */
export const ENOUGH_DECISIONS = 20;
/** A yes within this, in the median, was hardly read. Seconds. */
export const HARDLY_READ_SECONDS = 5;

/** @param from when the period begins; what is earlier is the baseline */
export function oversightOf(decisions: readonly OverseenDecision[], from: Date): Oversight {
  const isBefore = ({ at }: OverseenDecision): boolean => Date.parse(at) < from.getTime();
  const [now, before] = [decisions.filter((one) => !isBefore(one)), decisions.filter(isBefore)];
  const everybody = figuresOf(now);
  const groups = (namesOf: (one: OverseenDecision) => readonly string[]): OversightGroup[] => {
    const [current, earlier] = [byName(now, namesOf), byName(before, namesOf)];
    return [...current]
      .map(([name, own]) => groupOf(name, figuresOf(own), figuresOf(earlier.get(name) ?? []), everybody))
      .sort((a, b) => b.decisions - a.decisions || (a.name < b.name ? -1 : 1));
  };
  return {
    total: groupOf('all', everybody, figuresOf(before), undefined),
    approvers: groups(({ person }) => [person]),
    roles: groups(({ roles }) => roles),
    rules: groups(({ rules }) => rules),
  };
}

function groupOf(
  name: string,
  own: OversightFigures,
  before: OversightFigures,
  everybody: OversightFigures | undefined,
): OversightGroup {
  const findings = OVERSIGHT_FINDINGS.filter((finding) => FOUND[finding](own, before, everybody));
  return { name, ...own, before, findings };
}

type Found = (own: OversightFigures, before: OversightFigures, everybody: OversightFigures | undefined) => boolean;

const enough = ({ decisions }: OversightFigures): boolean => decisions >= ENOUGH_DECISIONS;

const FOUND: Readonly<Record<OversightFinding, Found>> = {
  always_yes: (own) => enough(own) && own.yesRate === 1,
  fast: (own, _, everybody) =>
    enough(own) &&
    own.medianSeconds !== undefined &&
    (own.medianSeconds < HARDLY_READ_SECONDS || own.medianSeconds < (everybody?.medianSeconds ?? 0) / 4),
  more_yes_than_before: (own, before) =>
    enough(own) && enough(before) && (own.yesRate ?? 0) - (before.yesRate ?? 0) >= 0.2,
  faster_than_before: (own, before) =>
    enough(own) && enough(before) && (own.medianSeconds ?? Infinity) < (before.medianSeconds ?? 0) / 2,
  too_fast: ({ tooFast }) => tooFast > 0,
};

function byName(
  decisions: readonly OverseenDecision[],
  namesOf: (one: OverseenDecision) => readonly string[],
): Map<string, OverseenDecision[]> {
  const groups = new Map<string, OverseenDecision[]>();
  for (const one of decisions) {
    for (const name of new Set(namesOf(one))) {
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [one]);
      else group.push(one);
    }
  }
  return groups;
}

function figuresOf(decisions: readonly OverseenDecision[]): OversightFigures {
  const of = (verdict: Verdict): number => decisions.filter((one) => one.verdict === verdict).length;
  const approved = of('approve');
  const waited = decisions.flatMap(({ waitedSeconds }) => waitedSeconds ?? []).sort((a, b) => a - b);
  return {
    decisions: decisions.length,
    approved,
    denied: of('deny'),
    changesRequested: of('request_changes'),
    tooFast: decisions.filter(({ overRateLimit, refused }) => overRateLimit || refused).length,
    ...(decisions.length === 0 ? {} : { yesRate: approved / decisions.length }),
    ...(waited.length === 0 ? {} : { medianSeconds: quantile(waited, 0.5), p10Seconds: quantile(waited, 0.1) }),
  };
}

/** Linear between the two nearest, as Postgres' `percentile_cont`. */
function quantile(sorted: readonly number[], part: number): number {
  const place = (sorted.length - 1) * part;
  const [below, above] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0];
  return below + (above - below) * (place - Math.floor(place));
}
