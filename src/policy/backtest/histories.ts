/** What earlier actions came to in both worlds: as it was, and as it would have been. It counts as `read_history` of the ledger does. */
import type { DecisionRecord } from '../../action/decision-record.js';
import { MAX_HISTORY_COUNT, type HistoryFigure, type HistoryQuery, type HistoryReading } from '../../action/history.js';
import { canonical } from '../../action/json.js';
import type { OutcomeStatus } from '../../action/outcome.js';
import type { Policy } from '../compile.js';
import type { HistoryFact } from '../history/fact.js';
import { resolveHistory, type ReadHistory, type ResolvedHistory } from '../history/resolve.js';
import type { DecidedRecord } from './redecide.js';

/** Of each mark, so many of the newest actions are looked at. With more of them, as many as can be counted are possible. */
const LOOKED_AT = 200;

interface Left {
  readonly action: string;
  readonly at: number;
}

/** The marks that actions left, and what became of those actions. Times are microseconds since 1970. */
export class HistoryMarks {
  /** By mark: the actions that left it, in the order in which they did. */
  readonly #marks = new Map<string, Left[]>();
  readonly #ended = new Map<string, OutcomeStatus>();

  leave(tenant: string, action: string, marks: readonly string[], at: number): void {
    for (const mark of marks) {
      const key = `${tenant}\n${mark}`;
      const left = this.#marks.get(key) ?? [];
      this.#marks.set(key, left);
      // What is authorized again is the newest.
      const before = left.findLastIndex((one) => one.action === action);
      if (before >= 0) left.splice(before, 1);
      left.push({ action, at });
    }
  }

  end(tenant: string, action: string, status: OutcomeStatus): void {
    this.#ended.set(`${tenant}/${action}`, status);
  }

  read(
    tenant: string,
    action: string,
    { fact, certain, possible, withinMs, outcomes }: HistoryQuery,
    at: number,
  ): HistoryReading {
    const earlier = new Map<string, boolean>();
    let many = false;
    for (const mark of possible) {
      const newest = newestOf(this.#marks.get(`${tenant}\n${mark}`) ?? [], at - withinMs * 1000);
      many ||= newest.length > LOOKED_AT;
      for (const other of newest) {
        if (other !== action) earlier.set(other, earlier.get(other) === true || certain.includes(mark));
      }
    }
    const counts = { done: 0, underWay: 0, possible: 0 };
    for (const [other, certainly] of earlier) {
      const status = this.#ended.get(`${tenant}/${other}`);
      const asked = (outcomes as readonly string[]).includes(status ?? '');
      if (certainly && asked) counts.done++;
      if (certainly && status === undefined) counts.underWay++;
      const made = status === 'mismatch' && outcomes.includes('success');
      if (status === undefined || status === 'unknown' || asked || made) counts.possible++;
    }
    const most = (count: number): number => Math.min(count, MAX_HISTORY_COUNT);
    return {
      fact,
      done: most(counts.done),
      underWay: most(counts.underWay),
      possible: many ? MAX_HISTORY_COUNT : most(counts.possible),
    };
  }
}

/** The newest first, one more than are looked at. */
function newestOf(left: readonly Left[], after: number): readonly string[] {
  const found: string[] = [];
  for (let index = left.length - 1; index >= 0 && found.length <= LOOKED_AT; index--) {
    const one = left[index];
    if (one === undefined || one.at <= after) break;
    found.push(one.action);
  }
  return found;
}

interface HistoryPlan {
  readonly before: readonly string[];
  readonly now: readonly string[];
  readonly went: boolean;
  readonly happens: boolean;
  /** How it ends under the candidate. */
  readonly status: OutcomeStatus;
}

export class Histories {
  readonly #recorded = new HistoryMarks();
  readonly #candidate = new HistoryMarks();
  readonly #plans = new Map<string, HistoryPlan>();

  /** What the candidate reads for an action. Undefined when it declares no history. */
  read(record: DecidedRecord, candidate: Policy, recorded: Policy | undefined, at: number): ReadHistory | undefined {
    if (candidate.history.facts.length === 0) return undefined;
    const { tenant, actionId, facts } = record;
    const asked = resolved(candidate, record);
    const then = new Map(recorded?.history.facts.map((fact) => [fact.id, fact]));
    const figures = new Map(facts.history?.map((figure) => [figure.fact, figure]));
    const readings = asked.queries.map((query, index): HistoryReading => {
      const now = this.#candidate.read(tenant, actionId, query, at);
      const [figure, before, fact] = [figures.get(query.fact), then.get(query.fact), candidate.history.facts[index]];
      if (figure === undefined || before === undefined || fact === undefined || !sameFact(before, fact)) return now;
      return corrected(now, this.#recorded.read(tenant, actionId, query, at), figure);
    });
    return { ...asked, readings };
  }

  /** Keeps what an action leaves for later ones in both worlds, until it does. */
  plan(
    record: DecisionRecord,
    {
      candidate,
      recorded,
      happens,
      newly,
    }: {
      readonly candidate: Policy;
      readonly recorded: Policy | undefined;
      readonly happens: boolean;
      readonly newly: boolean;
    },
  ): void {
    if (candidate.history.facts.length === 0 || record.facts === undefined) return;
    const decided = record as DecidedRecord;
    const went = record.attempted || record.holds.length > 0;
    this.#plans.set(nameOf(record), {
      before: recorded === undefined ? [] : resolved(recorded, decided).marks,
      now: resolved(candidate, decided).marks,
      went,
      happens,
      status: newly || !went ? 'success' : record.status,
    });
  }

  place(record: DecisionRecord, at: number): void {
    const plan = this.#plans.get(nameOf(record));
    if (plan?.went === true) this.#recorded.leave(record.tenant, record.actionId, plan.before, at);
    if (plan?.happens === true) this.#candidate.leave(record.tenant, record.actionId, plan.now, at);
  }

  settle(record: DecisionRecord): void {
    const plan = this.#plans.get(nameOf(record));
    if (plan === undefined) return;
    this.#plans.delete(nameOf(record));
    this.#recorded.end(record.tenant, record.actionId, record.status);
    this.#candidate.end(record.tenant, record.actionId, plan.status);
  }
}

function resolved(policy: Policy, { facts, proposal }: DecidedRecord): ResolvedHistory {
  const { input = {}, traceId } = proposal ?? {};
  return resolveHistory(policy.history, facts, { input, traceId });
}

function sameFact(
  { place: _one, waitMs: _wait, ...one }: HistoryFact,
  { place: _other, waitMs: _or, ...other }: HistoryFact,
): boolean {
  return canonical(one) === canonical(other);
}

/** What was read then, changed by what differs between the two worlds: what the records do not show counts in both. */
function corrected(now: HistoryReading, model: HistoryReading, figure: HistoryFigure): HistoryReading {
  const sum = (count: 'done' | 'underWay' | 'possible'): number =>
    Math.max(0, Math.min(MAX_HISTORY_COUNT, figure[count] + now[count] - model[count]));
  return { fact: now.fact, done: sum('done'), underWay: sum('underWay'), possible: sum('possible') };
}

function nameOf({ tenant, actionId }: DecisionRecord): string {
  return `${tenant}/${actionId}`;
}
