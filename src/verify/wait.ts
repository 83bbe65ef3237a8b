/** Waits for a system that shows an effect late: reads again and again, ever more slowly, until all checks hold or time is over. */
import { asCountersignError } from '../action/errors.js';
import type { Check } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import { expectedWithinMs } from '../action/expect.js';
import { isList } from './expectation.js';

/** Pauses between readings: 50 ms, doubling, at most a second. No jitter: what was done can be told from the time alone. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** Milliseconds. Only differences of `now` count. */
export interface Clock {
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** How long each check may take to come true, milliseconds from the first reading. */
export interface Deadlines {
  /** Of every check that has none of its own: the tool's, the invariants' and the frame's. */
  readonly longestMs: number;
  /** By name of the check, of those that may take any time. */
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
 * Reads until every check holds, or one that does not hold has had its time; the last reading is at that instant. A reading that
 * fails with a retryable error is taken again within the longest time; when that is over, the error is thrown: what was read before
 * says nothing of what is there now.
 *
 * The checks of expectations that were given time say in their detail when they came true.
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
    let left: number;
    if (attempt.ok) {
      note(attempt.reading.checks, at, heldSince);
      left = leftOf(attempt.reading.checks, at, deadlines);
      if (left <= 0) return withTimings(attempt.reading, { at, count, heldSince }, deadlines);
    } else {
      left = deadlines.longestMs - at;
      if (left <= 0) throw attempt.error;
    }
    await clock.sleep(Math.min(pause, left));
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

/** How long the check with the least time left may still take; 0 when all hold. */
function leftOf(checks: readonly Check[], at: number, { longestMs, own }: Deadlines): number {
  const left = checks.filter(({ ok }) => !ok).map(({ name }) => (own.get(name) ?? longestMs) - at);
  return left.length === 0 ? 0 : Math.min(...left);
}

/** What held once and no longer does has to hold anew. */
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
