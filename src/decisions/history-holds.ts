/** What the ledger held and settled for an action, as far as the action's history tells it. */
import type { Approved, EffectReport, Enforced, Granted, PostState } from '../../activities/contract.js';
import type { RecordedHold } from '../action/decision-record.js';
import { holdSettlementOf, type HoldRequest, type HoldSettlement } from '../action/limits.js';
import type { OutcomeStatus } from '../action/outcome.js';

/** The sealed records of an action, opened, in the order of history. */
export type OpenedRecord = Enforced | Approved | Granted | EffectReport | PostState | { readonly kind: string };

/** Reports after which a send that was counted was taken back: nothing can have been sent. */
const UNSENT: ReadonlySet<string> = new Set(['GRANT_EXPIRED', 'STATE_CHANGED']);

/** Whether anything may have been sent to the tool's system. A step whose record is missing never came back. */
export function attemptedBy(reports: readonly (EffectReport | undefined)[]): boolean {
  return reports.some((report) => {
    if (report === undefined || report.kind === 'done' || report.kind === 'unknown') return true;
    return report.notAttempted !== true && !UNSENT.has(report.error.code);
  });
}

interface Ending {
  readonly status: OutcomeStatus;
  /** RFC 3339 UTC. */
  readonly endedAt: string;
  /** What was really spent, by limit. */
  readonly amounts?: Readonly<Record<string, number>>;
}

/** The holds that each grant placed, settled as the action ended. */
export function holdsIn(records: readonly OpenedRecord[], { status, endedAt, amounts }: Ending): RecordedHold[] {
  const placed = placedBy(records);
  const settlement = holdSettlementOf({
    status,
    ...lastReport(records),
    ...(amounts === undefined ? {} : { amounts }),
  });
  return [...placed.values()].map((hold) => settled(hold, settlement, endedAt)).sort(inOrder);
}

function placedBy(records: readonly OpenedRecord[]): ReadonlyMap<string, RecordedHold> {
  const placed = new Map<string, RecordedHold>();
  let [enforced, approved]: [readonly HoldRequest[], readonly HoldRequest[]] = [[], []];
  for (const record of records) {
    if (record.kind === 'enforced') [enforced, approved] = [(record as Enforced).holds, []];
    else if (record.kind === 'approved') approved = (record as Approved).holds;
    else if (record.kind === 'granted') {
      const at = new Date((record as Granted).at).toISOString();
      const asked = new Map([...enforced, ...approved].map((demand) => [idOf(demand), demand]));
      // What a later grant does not ask for any more is given back; what it asks for again is held once.
      for (const [id, hold] of placed) {
        if (!asked.has(id) && hold.status === 'held') placed.set(id, { ...hold, status: 'released', settledAt: at });
      }
      for (const [id, demand] of asked) {
        const known = placed.get(id);
        const same = known?.kind === 'rate' || (known?.status === 'held' && known.amount === amountOf(demand));
        if (!same) placed.set(id, holdOf(demand, at));
      }
    }
  }
  return placed;
}

function lastReport(records: readonly OpenedRecord[]): { readonly notAttempted: boolean; readonly spent: boolean } {
  const report = records.findLast(({ kind }) => REPORTS.has(kind)) as EffectReport | undefined;
  const after = records.slice(report === undefined ? 0 : records.indexOf(report) + 1);
  const found = after.find(({ kind }) => kind === 'not_made' || kind === 'made_unverified')?.kind;
  return {
    notAttempted: found === undefined && (report as { notAttempted?: boolean } | undefined)?.notAttempted === true,
    spent: found === 'made_unverified',
  };
}

const REPORTS: ReadonlySet<string> = new Set(['done', 'not_done', 'grant_lapsed', 'stopped', 'unknown']);

function holdOf(demand: HoldRequest, placedAt: string): RecordedHold {
  const { limit, key, kind } = demand;
  const hold = { limit, key, kind, amount: amountOf(demand), placedAt };
  return kind === 'rate' ? { ...hold, status: 'consumed', settledAt: placedAt } : { ...hold, status: 'held' };
}

/** A breaker's is 1 for a probe; whether it was one, history does not tell. */
function amountOf(demand: HoldRequest): number {
  if (demand.kind === 'budget' || demand.kind === 'count') return demand.amount;
  return demand.kind === 'breaker' ? 0 : 1;
}

function settled(
  hold: RecordedHold,
  { disposition, result, amounts = {} }: HoldSettlement,
  settledAt: string,
): RecordedHold {
  if (hold.status !== 'held') return hold;
  if (hold.kind === 'breaker') return { ...hold, status: result === undefined ? 'released' : 'consumed', settledAt };
  if (disposition === 'keep') return { ...hold, status: 'kept' };
  if (disposition === 'release') return { ...hold, status: 'released', settledAt };
  const spent = hold.kind === 'budget' ? (amounts[hold.limit] ?? hold.amount) : hold.amount;
  return { ...hold, status: 'consumed', amount: spent, settledAt };
}

function idOf({ limit, key, kind }: Pick<HoldRequest, 'limit' | 'key' | 'kind'>): string {
  return `${limit}\n${key}\n${kind}`;
}

/** As the ledger lists them. */
function inOrder(one: RecordedHold, other: RecordedHold): number {
  return idOf(one) < idOf(other) ? -1 : 1;
}
