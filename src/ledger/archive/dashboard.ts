/** Figures over the actions that ended in a period. */
import { sql, type RawBuilder } from 'kysely';
import type { DecisionEffect } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import { OUTCOME_STATUSES, type OutcomeStatus } from '../../action/outcome.js';
import type { Database } from '../database/database.js';
import type { StandingApproval, StandingApprovalUse } from '../../action/standing-approval.js';
import { StandingApprovals } from '../approvals/standing-approvals.js';

export interface DayFigures {
  /** In UTC: `2026-02-28`. */
  readonly day: string;
  readonly allow: number;
  readonly deny: number;
  readonly require_approval: number;
  /** Refused before policy was asked. */
  readonly undecided: number;
}

export interface PolicyFigures {
  readonly policy: string;
  /** Decisions that it determined, by their effect. */
  readonly total: number;
  readonly allow: number;
  readonly deny: number;
  readonly require_approval: number;
}

export interface ToolFigures {
  readonly tool: string;
  readonly total: number;
  readonly statuses: Readonly<Record<OutcomeStatus, number>>;
}

/** Of actions that people decided in the period: from when they were first asked until the last decision was given. */
export interface WaitingFigures {
  readonly count: number;
  /** Absent without any. */
  readonly medianSeconds?: number;
  readonly p90Seconds?: number;
}

export interface Dashboard {
  /** RFC 3339 UTC. */
  readonly from: string;
  readonly to: string;
  /** Every day of the period, in order. */
  readonly days: readonly DayFigures[];
  readonly total: number;
  readonly statuses: Readonly<Record<OutcomeStatus, number>>;
  /** At most ten, those of most decisions first. */
  readonly policies: readonly PolicyFigures[];
  /** At most ten, those of most actions first. */
  readonly tools: readonly ToolFigures[];
  readonly waiting: WaitingFigures;
  readonly mismatches: number;
  /** Still unknown. */
  readonly unknowns: number;
  readonly denied: number;
  /** Those in force now, with what is used of each. */
  readonly standing: readonly (StandingApproval & { readonly used: StandingApprovalUse })[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MOST_DAYS = 366;
const TOP = 10;

export async function dashboard(
  database: Database,
  tenant: string,
  {
    to = tomorrow(),
    from = new Date(to.getTime() - 30 * DAY_MS),
  }: { readonly from?: Date | undefined; readonly to?: Date | undefined },
): Promise<Dashboard> {
  if (!(from < to) || to.getTime() - from.getTime() > MOST_DAYS * DAY_MS) {
    throw new CountersignError('INVALID_INPUT', 'A dashboard is over a period.', {
      field: 'from',
      expected: `a time before \`to\`, at most ${MOST_DAYS} days before`,
      fix: 'Correct the period.',
    });
  }
  const [groups, waiting, standing] = await Promise.all([
    groupsOf(database, tenant, from, to),
    waitingOf(database, tenant, from, to),
    new StandingApprovals(database).list({ tenant, activeOnly: true }),
  ]);
  const statuses = noStatuses();
  const tools = new Map<string, { tool: string; total: number; statuses: Record<OutcomeStatus, number> }>();
  const days = new Map(daysBetween(from, to).map((day) => [day, { day, ...noEffects(), undecided: 0 }]));
  const policies = new Map<string, { policy: string; total: number } & Record<DecisionEffect, number>>();
  for (const { day, tool, status, policies: determined, effect, count } of groups) {
    if (day !== null) {
      const figures = days.get(day);
      if (figures !== undefined) figures[effect ?? 'undecided'] += count;
    } else if (tool !== null && status !== null) {
      const figures = tools.get(tool) ?? { tool, total: 0, statuses: noStatuses() };
      tools.set(tool, figures);
      figures.total += count;
      figures.statuses[status] += count;
      statuses[status] += count;
    } else if (effect !== null) {
      for (const policy of new Set(determined)) {
        const figures = policies.get(policy) ?? { policy, total: 0, ...noEffects() };
        policies.set(policy, figures);
        figures.total += count;
        figures[effect] += count;
      }
    }
  }
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    days: [...days.values()],
    total: Object.values(statuses).reduce((sum, count) => sum + count, 0),
    statuses,
    policies: top(policies, ({ policy }) => policy),
    tools: top(tools, ({ tool }) => tool),
    waiting,
    mismatches: statuses.mismatch,
    unknowns: statuses.unknown,
    denied: statuses.denied,
    standing,
  };
}

/**
 * The number of the first receipt at a time or later, found by halving the chain, in which times do not go back: a scalar subselect.
 * `early` and `late` leave room on that side for a clock that was set.
 */
export function seqAt(database: Database, tenant: string, at: Date, side: 'early' | 'late'): RawBuilder<number> {
  const time = new Date(at.getTime() + (side === 'early' ? -1 : 1) * CLOCK_MS);
  return sql<number>`(
    with recursive halving(low, high) as (
      select 1::bigint, seq + 1 from ${database.table('chains')} where tenant = ${tenant}
      union all
      select case when r.at < ${time} then r.seq + 1 else h.low end, case when r.at < ${time} then h.high else r.seq end
      from halving as h
      cross join lateral (
        select seq, at from ${database.table('receipts')} where tenant = ${tenant} and seq = (h.low + h.high) / 2
      ) as r
      where h.low < h.high
    )
    select low from halving where low = high
  )`;
}

const CLOCK_MS = 60_000;

interface GroupRow {
  readonly day: string | null;
  readonly tool: string | null;
  readonly status: OutcomeStatus | null;
  readonly policies: readonly string[] | null;
  readonly effect: DecisionEffect | null;
  readonly count: number;
}

/** Three groupings in one pass. */
function groupsOf(database: Database, tenant: string, from: Date, to: Date): Promise<readonly GroupRow[]> {
  return database.rows<GroupRow>({
    name: 'dashboard_groups',
    query: sql<GroupRow>`
      select to_char(day, 'YYYY-MM-DD') as day, tool, status, policies, effect, count(*)::int as count
      from (
        select (ended_at at time zone 'UTC')::date as day, tool, status, policies, effect from ${database.table('actions')}
        where tenant = ${tenant}
          and receipt_seq >= ${seqAt(database, tenant, from, 'early')} and receipt_seq < ${seqAt(database, tenant, to, 'late')}
          and ended_at >= ${from} and ended_at < ${to}
      ) as ended
      group by grouping sets ((day, effect), (tool, status), (policies, effect))`,
  });
}

async function waitingOf(database: Database, tenant: string, from: Date, to: Date): Promise<WaitingFigures> {
  const [row] = await database.rows<{ count: number; median: number | null; p90: number | null }>({
    name: 'dashboard_waiting',
    query: sql<{ count: number; median: number | null; p90: number | null }>`
      select count(*)::int as count, percentile_cont(0.5) within group (order by waited) as median,
        percentile_cont(0.9) within group (order by waited) as p90
      from (
        select max(waited_seconds) as waited from ${database.table('decisions')}
        where tenant = ${tenant} and decided_at >= ${from} and decided_at < ${to} and waited_seconds is not null and not refused
        group by action_id
      ) as decided`,
  });
  return {
    count: row?.count ?? 0,
    ...(row?.median == null ? {} : { medianSeconds: row.median }),
    ...(row?.p90 == null ? {} : { p90Seconds: row.p90 }),
  };
}

/** The end of today, in UTC. */
function tomorrow(): Date {
  return new Date((Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS);
}

function noStatuses(): Record<OutcomeStatus, number> {
  return Object.fromEntries(OUTCOME_STATUSES.map((status) => [status, 0])) as Record<OutcomeStatus, number>;
}

function noEffects(): Record<DecisionEffect, number> {
  return { allow: 0, deny: 0, require_approval: 0 };
}

function daysBetween(from: Date, to: Date): string[] {
  const days: string[] = [];
  const first = Math.floor(from.getTime() / DAY_MS) * DAY_MS;
  for (let day = first; day < to.getTime(); day += DAY_MS) days.push(new Date(day).toISOString().slice(0, 10));
  return days;
}

function top<T extends { readonly total: number }>(all: ReadonlyMap<string, T>, nameOf: (one: T) => string): T[] {
  return [...all.values()].sort((a, b) => b.total - a.total || (nameOf(a) < nameOf(b) ? -1 : 1)).slice(0, TOP);
}
