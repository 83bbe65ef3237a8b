/** What was decided of actions that have ended: everything that deciding again needs, page by page in the order of the receipts. */
import { sql } from 'kysely';
import type { RecordedHold } from '../../action/decision-record.js';
import type { Digest } from '../../action/json.js';
import type { UnreceiptedOutcome } from '../../action/outcome.js';
import type { Proposal } from '../../action/proposal.js';
import type { Database } from '../database/database.js';

export interface DecidedAction {
  readonly tenant: string;
  readonly actionId: string;
  /** Of the proposal that the action id stands for. */
  readonly digest: Digest;
  readonly outcome: UnreceiptedOutcome;
  /** As it is kept, compared with nothing. */
  readonly proposal: unknown;
  readonly attempted: boolean;
  readonly holds: readonly RecordedHold[];
  readonly endedAt: string;
  readonly receipt: { readonly seq: number; readonly hash: Digest; readonly jws: string };
}

export interface DecidedFilter {
  /** Default: all tenants. */
  readonly tenant?: string | undefined;
  /** Leaves out receipts of the tenant up to this one. Only with a tenant. */
  readonly after?: number | undefined;
  /** Leaves out what ended before: it was decided before, too. */
  readonly since?: Date | undefined;
  readonly tool?: string | undefined;
  readonly agent?: string | undefined;
}

/** How many are read at once. */
const PAGE = 200;

export async function* decidedActions(database: Database, filter: DecidedFilter): AsyncGenerator<DecidedAction> {
  const { tenant, after: from, since, tool, agent } = filter;
  const [actions, receipts, holds] = (['actions', 'receipts', 'holds'] as const).map((name) => database.table(name));
  let after = tenant === undefined || from === undefined ? { tenant: '', seq: 0 } : { tenant, seq: from };
  for (;;) {
    const rows = await database.rows<DecidedRow>({
      name: 'decided_actions',
      query: sql<DecidedRow>`
        select a.tenant, a.action_id, a.digest, a.outcome, a.proposal, a.sends > 0 as attempted, a.receipt_seq, a.receipt_hash, r.jws,
          a.ended_at,
          coalesce((
            select json_agg(json_build_object('limit', h."limit", 'key', h.key, 'kind', h.kind, 'amount', h.amount, 'status', h.status,
              'placed', to_char(h.placed_at at time zone 'UTC', ${MICROSECONDS}), 'settled', to_char(h.settled_at at time zone 'UTC', ${MICROSECONDS}))
              order by h."limit" collate "C", h.key collate "C", h.kind collate "C")
            from ${holds} as h where h.tenant = a.tenant and h.action_id = a.action_id
          ), '[]') as holds
        from ${actions} as a
        join ${receipts} as r on r.tenant = a.tenant and r.seq = a.receipt_seq
        where (a.tenant, a.receipt_seq) > (${after.tenant}, ${after.seq}::bigint) and a.receipt_seq is not null
          and (${tenant ?? null}::text is null or a.tenant = ${tenant ?? null})
          and (${since ?? null}::timestamptz is null or a.ended_at >= ${since ?? null})
          and (${tool ?? null}::text is null or a.tool = ${tool ?? null})
          and (${agent ?? null}::text is null or a.agent = ${agent ?? null} or a.via @> array[${agent ?? null}])
        order by a.tenant, a.receipt_seq
        limit ${sql.lit(PAGE)}`,
    });
    for (const row of rows) yield decided(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = { tenant: last.tenant, seq: Number(last.receipt_seq) };
  }
}

const MICROSECONDS = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';

interface DecidedRow {
  readonly tenant: string;
  readonly action_id: string;
  readonly digest: Digest;
  readonly outcome: UnreceiptedOutcome;
  readonly proposal: Proposal | null;
  readonly attempted: boolean;
  readonly receipt_seq: string;
  readonly receipt_hash: Digest;
  readonly jws: string;
  readonly ended_at: Date;
  readonly holds: readonly (Omit<RecordedHold, 'placedAt' | 'settledAt'> & {
    readonly placed: string;
    readonly settled: string | null;
  })[];
}

function decided(row: DecidedRow): DecidedAction {
  return {
    tenant: row.tenant,
    actionId: row.action_id,
    digest: row.digest,
    outcome: row.outcome,
    proposal: row.proposal,
    attempted: row.attempted,
    holds: row.holds.map(({ placed, settled, ...hold }) => ({
      ...hold,
      placedAt: placed,
      ...(settled === null ? {} : { settledAt: settled }),
    })),
    endedAt: row.ended_at.toISOString(),
    receipt: { seq: Number(row.receipt_seq), hash: row.receipt_hash, jws: row.jws },
  };
}
