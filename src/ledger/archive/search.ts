/** Searching the archive: the open actions first, then the ended. */
import { sql, type RawBuilder } from 'kysely';
import type { DecisionEffect } from '../../action/decision.js';
import type { Digest } from '../../action/json.js';
import type { OutcomeStatus, ReceiptRef } from '../../action/outcome.js';
import { cursorText, isTime, notOurs, placeIn } from '../database/cursor.js';
import { seqAt } from './dashboard.js';
import type { Database } from '../database/database.js';
import { beginningWith, containing } from '../database/text.js';

/** `pending`: it waits for people; `open`: it has no outcome and does not wait for them, as far as the ledger knows. */
export type ArchivedStatus = 'open' | 'pending' | OutcomeStatus;

export interface ArchiveFilter {
  /** Any of these. Default all. */
  readonly status?: ArchivedStatus | readonly ArchivedStatus[];
  readonly tool?: string;
  readonly agent?: string;
  /** What this agent did itself or through those below it. An open action of one below is found only while people are asked about it. */
  readonly accountable?: string;
  readonly environment?: string;
  /** Of the decision. Found of ended actions only. */
  readonly effect?: DecisionEffect;
  /** One of those that determined the decision. Found of ended actions only. */
  readonly policy?: string;
  /** The beginning of the action's id; or a part of its agent's or tool's name, its reason or its summary, without regard to case. */
  readonly text?: string;
  /** Ended (when open: proposed) at this time or later. */
  readonly from?: Date;
  /** Before this time. */
  readonly to?: Date;
}

export interface ArchivedAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly status: ArchivedStatus;
  readonly tool: string;
  /** These are absent where the action ended before they were known. */
  readonly agent?: string;
  readonly environment?: string;
  readonly summary?: string;
  /** The decision's effect; of a pending action `require_approval`. */
  readonly effect?: DecisionEffect;
  /** Of the outcome; of a pending action, why people are asked. */
  readonly reason?: string;
  /** Of the outcome's error. */
  readonly code?: string;
  /** Whether a person said how it ended, because it could not be known. */
  readonly resolved: boolean;
  /** RFC 3339 UTC, as all times here. */
  readonly proposedAt: string;
  readonly endedAt?: string;
  /** Of a pending one. */
  readonly expiresAt?: string;
  readonly receipt?: ReceiptRef;
}

export interface ArchivePage {
  /** Open ones first, the latest proposed first; then the ended, the latest ended first. */
  readonly actions: readonly ArchivedAction[];
  /** For the page after this one. Absent on the last. */
  readonly next?: string;
}

export interface SearchedRow {
  readonly action_id: string;
  readonly status: OutcomeStatus | null;
  readonly tool: string;
  readonly agent: string | null;
  readonly environment: string | null;
  readonly effect: DecisionEffect | null;
  readonly code: string | null;
  readonly reason: string | null;
  readonly summary: string | null;
  readonly receipt_seq: string | null;
  readonly receipt_hash: Digest | null;
  readonly created_at: Date;
  /** With microseconds, so that pages join exactly. */
  readonly proposed_at: string;
  readonly ended_at: Date | null;
  readonly resolved_at: Date | null;
  /** Of the approval request, while the action waits. */
  readonly expires_at: Date | null;
  readonly asked_because: string | null;
  readonly asked_summary: string | null;
}

export const COLUMNS = sql`
  a.action_id, a.status, a.tool, a.agent, a.environment, a.effect, a.code, a.reason, a.summary, a.receipt_seq, a.receipt_hash,
  a.created_at, to_char(a.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as proposed_at, a.ended_at, a.resolved_at`;

export type PagePosition =
  | { readonly kind: 'start' }
  | { readonly kind: 'open'; readonly proposedAt: string; readonly actionId: string }
  | { readonly kind: 'ended'; readonly seq: number };

export function placeOf(cursor: string | undefined): PagePosition {
  if (cursor === undefined) return { kind: 'start' };
  const [kind, first = '', second = ''] = placeIn(cursor);
  if (kind === 'open' && isTime(first)) return { kind, proposedAt: first, actionId: second };
  if (kind === 'ended' && Number.isSafeInteger(Number(first)) && first !== '') return { kind, seq: Number(first) };
  throw notOurs();
}

export function cursorAfter(row: SearchedRow): string {
  return row.receipt_seq === null
    ? cursorText(['open', row.proposed_at, row.action_id])
    : cursorText(['ended', row.receipt_seq]);
}

export function wantsOpen(wanted: ReadonlySet<ArchivedStatus>, { effect, policy }: ArchiveFilter): boolean {
  if (effect !== undefined || policy !== undefined) return false;
  return wanted.size === 0 || wanted.has('open') || wanted.has('pending');
}

export function wantsEnded(wanted: ReadonlySet<ArchivedStatus>): boolean {
  return wanted.size === 0 || [...wanted].some((status) => status !== 'open' && status !== 'pending');
}

export function open(
  database: Database,
  tenant: string,
  filter: ArchiveFilter,
  wanted: ReadonlySet<ArchivedStatus>,
  place: PagePosition,
  limit: number,
): RawBuilder<SearchedRow> {
  const all = [sql`a.tenant = ${tenant} and a.status is null`, ...within(filter, place, sql`k.reason`, sql`k.summary`)];
  if (filter.accountable !== undefined) {
    all.push(sql`(a.agent = ${filter.accountable} or k.via @> array[${filter.accountable}])`);
  }
  if (wanted.size > 0 && !wanted.has('open')) all.push(sql`k.tenant is not null`);
  if (wanted.size > 0 && !wanted.has('pending')) all.push(sql`k.tenant is null`);
  return sql<SearchedRow>`
    select ${COLUMNS}, k.expires_at, k.reason as asked_because, k.summary as asked_summary
    from ${database.table('actions')} as a
    left join lateral ${requestOf(database, tenant)} as k on k.closed_at is null
    where ${sql.join(all, sql` and `)}
    order by a.created_at desc, a.action_id desc
    limit ${sql.lit(limit)}`;
}

/** Which of the open ones: after the place, and within the filter. */
export function within(
  filter: ArchiveFilter,
  place: PagePosition,
  reason: RawBuilder<unknown>,
  summary: RawBuilder<unknown>,
): RawBuilder<unknown>[] {
  const all = inBoth(filter);
  if (place.kind === 'open') {
    all.push(sql`(a.created_at, a.action_id) < (${place.proposedAt}::timestamptz, ${place.actionId})`);
  }
  if (filter.from !== undefined) all.push(sql`a.created_at >= ${filter.from}`);
  if (filter.to !== undefined) all.push(sql`a.created_at < ${filter.to}`);
  if (filter.text) all.push(textIn(filter.text, reason, summary));
  return all;
}

/** Open ones of two kinds in their one order, at most so many. */
export function merged(first: readonly SearchedRow[], second: readonly SearchedRow[], most: number): SearchedRow[] {
  const key = ({ proposed_at, action_id }: SearchedRow): string => `${proposed_at} ${action_id}`;
  return [...first, ...second].sort((a, b) => (key(a) < key(b) ? 1 : -1)).slice(0, most);
}

/** What people are asked of an action (`a`). The limit keeps it one look by key, whatever the planner makes of tables that it has not seen full. */
export function requestOf(database: Database, tenant: string): RawBuilder<unknown> {
  return sql`(
    select tenant, via, reason, summary, expires_at, closed_at from ${database.table('approval_requests')}
    where tenant = ${tenant} and action_id = a.action_id limit 1
  )`;
}

/** In the order of the receipts, which is that of the ends: the index that finds an outcome by its receipt serves. */
export function ended(
  database: Database,
  tenant: string,
  filter: ArchiveFilter,
  wanted: ReadonlySet<ArchivedStatus>,
  from: { readonly seq: number } | undefined,
  limit: number,
): RawBuilder<SearchedRow> {
  const all = [sql`a.tenant = ${tenant} and a.receipt_seq is not null`, ...inBoth(filter)];
  const statuses = [...wanted].filter((status) => status !== 'open' && status !== 'pending');
  if (statuses.length > 0) all.push(sql`a.status = any(${statuses}::text[])`);
  if (from !== undefined) all.push(sql`a.receipt_seq < ${from.seq}`);
  if (filter.from !== undefined) {
    all.push(sql`a.receipt_seq >= ${seqAt(database, tenant, filter.from, 'early')} and a.ended_at >= ${filter.from}`);
  }
  if (filter.to !== undefined) {
    all.push(sql`a.receipt_seq < ${seqAt(database, tenant, filter.to, 'late')} and a.ended_at < ${filter.to}`);
  }
  if (filter.accountable !== undefined) {
    all.push(sql`(a.agent = ${filter.accountable} or a.via @> array[${filter.accountable}])`);
  }
  if (filter.effect !== undefined) all.push(sql`a.effect = ${filter.effect}`);
  if (filter.policy !== undefined) all.push(sql`a.policies @> array[${filter.policy}]`);
  if (filter.text) all.push(textIn(filter.text, sql`a.reason`, sql`a.summary`));
  return sql<SearchedRow>`
    select ${COLUMNS}, null::timestamptz as expires_at, null as asked_because, null as asked_summary
    from ${database.table('actions')} as a
    where ${sql.join(all, sql` and `)}
    order by a.receipt_seq desc
    limit ${sql.lit(limit)}`;
}

function inBoth({ tool, agent, environment }: ArchiveFilter): RawBuilder<unknown>[] {
  return [
    ...(tool === undefined ? [] : [sql`a.tool = ${tool}`]),
    ...(agent === undefined ? [] : [sql`a.agent = ${agent}`]),
    ...(environment === undefined ? [] : [sql`a.environment = ${environment}`]),
  ];
}

function textIn(text: string, reason: RawBuilder<unknown>, summary: RawBuilder<unknown>): RawBuilder<unknown> {
  const like = containing(text);
  return sql`(a.action_id like ${beginningWith(text)} or a.agent ilike ${like} or a.tool ilike ${like}
    or ${reason} ilike ${like} or ${summary} ilike ${like})`;
}

export function archived(tenant: string, row: SearchedRow): ArchivedAction {
  const pending = row.status === null && row.expires_at !== null;
  const summary = row.summary ?? row.asked_summary;
  const reason = row.reason ?? row.asked_because;
  const effect = pending ? 'require_approval' : row.effect;
  return {
    tenant,
    actionId: row.action_id,
    status: row.status ?? (pending ? 'pending' : 'open'),
    tool: row.tool,
    ...(row.agent === null ? {} : { agent: row.agent }),
    ...(row.environment === null ? {} : { environment: row.environment }),
    ...(summary === null ? {} : { summary }),
    ...(effect === null ? {} : { effect }),
    ...(reason === null ? {} : { reason }),
    ...(row.code === null ? {} : { code: row.code }),
    resolved: row.resolved_at !== null,
    proposedAt: row.created_at.toISOString(),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at.toISOString() }),
    ...(pending && row.expires_at !== null ? { expiresAt: row.expires_at.toISOString() } : {}),
    ...(row.receipt_seq === null || row.receipt_hash === null
      ? {}
      : { receipt: { tenant, seq: Number(row.receipt_seq), hash: row.receipt_hash } }),
  };
}
