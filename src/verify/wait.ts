/** Waits for a system that shows an effect late: it reads repeatedly, with growing pauses, until all checks hold or the time is over. */
import { asCountersignError } from '../action/errors.js';
import type { Check } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import { expectedWithinMs } from '../action/expect.js';
import { isList } from './expectation.js';

/** The first pause between readings. Pauses double, up to a second, without jitter, so that the times of all readings are predictable. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** A clock in milliseconds. Only differences of `now` are used. */
export interface Clock {
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** How long each check may take until it holds. Milliseconds from the first reading. */
export interface Deadlines {
  /** The deadline of every check without one of its own: those of the tool, the invariants and the frame. */
  readonly longestMs: number;
  /** The deadlines by name, of the checks that have one of their own. */
  readonly own: ReadonlyMap<string, number>;
}

export function deadlinesOf(proposal: Pick<Proposal, 'expect'>): Deadlines {
  const { expect } = proposal;
  const longestMs = expectedWithinMs(proposal);
  if (typeof expect !== 'object') return { longestMs, own: new Map() };
  const each: readonly (readonly [string, number])[] = isList(expect)
    ? expect.map(({ name, withinMs = 0 }) => [`expect.${name}`, withinMs])
    : [['expect', expect.withinMs ?? 0]];
  return { longestMs, own: new Map(each) };
}

/**
 * Reads until every check holds, or until the deadline of a check that does not hold. The last reading is at that instant. A reading that
 * fails with a retryable error is repeated within the longest time. When that is over the error is thrown, because an earlier reading says
 * nothing about the present.
 *
 * The detail of a check with a deadline of its own says when it began to hold.
 */
export async function awaitChecks<Reading extends { readonly checks: readonly Check[] }>(
  read: () => Promise<Reading>,
  deadlines: Deadlines,
  clock: Clock,
): Promise<Reading> {
  const start = clock.now();
  const heldSince = new Map<string, number>();
  for (let count = 1, pause = FIRST_PAUSE_MS; ; count++, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const attempt = await attempted(read);
    const at = clock.now() - start;
    let remaining: number;
    if (attempt.ok) {
      note(attempt.reading.checks, at, heldSince);
      remaining = timeLeft(attempt.reading.checks, at, deadlines);
      if (remaining <= 0) return withTimings(attempt.reading, { at, count, heldSince }, deadlines);
    } else {
      remaining = deadlines.longestMs - at;
      if (remaining <= 0) throw attempt.error;
    }
    await clock.sleep(Math.min(pause, remaining));
  }
}

type Attempt<Reading> =
  { readonly ok: true; readonly reading: Reading } | { readonly ok: false; readonly error: unknown };

async function attempted<Reading>(read: () => Promise<Reading>): Promise<Attempt<Reading>> {
  try {
    return { ok: true, reading: await read() };
  } catch (error) {
    if (!asCountersignError(error).retryable) throw error;
    return { ok: false, error };
  }
}

/** The time left of the failing check with the earliest deadline, in milliseconds; 0 when all checks hold. */
function timeLeft(checks: readonly Check[], at: number, { longestMs, own }: Deadlines): number {
  const left = checks.filter(({ ok }) => !ok).map(({ name }) => (own.get(name) ?? longestMs) - at);
  return left.length === 0 ? 0 : Math.min(...left);
}

/** Notes since when each check holds. A check that no longer holds starts anew. */
function note(checks: readonly Check[], at: number, heldSince: Map<string, number>): void {
  for (const { name, ok } of checks) {
    if (!ok) heldSince.delete(name);
    else if (!heldSince.has(name)) heldSince.set(name, at);
  }
}

function withTimings<Reading extends { readonly checks: readonly Check[] }>(
  reading: Reading,
  { at, count, heldSince }: { at: number; count: number; heldSince: ReadonlyMap<string, number> },
  { own }: Deadlines,
): Reading {
  const readings = count === 1 ? '1 reading' : `${count} readings`;
  const checks = reading.checks.map((check): Check => {
    if ((own.get(check.name) ?? 0) === 0) return check;
    const when = check.ok
      ? `Held after ${Math.round(heldSince.get(check.name) ?? at)} ms (${readings}).`
      : `Waited ${Math.round(at)} ms (${readings}).`;
    return { ...check, detail: check.detail === undefined ? when : `${check.detail} ${when}` };
  });
  return { ...reading, checks };
}
