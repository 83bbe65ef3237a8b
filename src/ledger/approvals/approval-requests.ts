/** What people are asked: the list of what waits for them. */
import { sql } from 'kysely';
import type { ApprovalRequest, ApprovalRequestTimes } from '../../action/approval-request.js';
import { CountersignError } from '../../action/errors.js';
import { cursorText, pageSize, timeAndId } from '../database/cursor.js';
import type { Database } from '../database/database.js';
import type {
  ApprovalRequestCount,
  ApprovalRequestFilter,
  ApprovalRequestPage,
  NewApprovalRequest,
  PersonDecision,
  RecordedDecision,
} from './approval-request-list.js';
import { LISTED, listed, timesOf, type FoundRow, type ListedRow } from './approval-request-rows.js';
import { closing, fingerprint } from './list-changes.js';
import { opening } from './opening.js';
import { decide, decisionsSoFar } from './person-decisions.js';
import { waiting } from './waiting.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class ApprovalRequests {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Puts an action on the list of what waits for people. The same shown again, with as much given in advance, changes nothing while it waits; another takes its place,
   * and what was decided of the one before is on the list no more. It is on no list before its action is admitted, nor after that ended.
   *
   * @throws CountersignError INVALID_INPUT when nobody is asked for anything
   */
  async open(request: NewApprovalRequest): Promise<ApprovalRequestTimes> {
    const statement = opening(this.#database, request);
    // Nothing comes back where somebody else opened it after this statement began to look.
    const [row = (await this.#database.rows(statement))[0]] = await this.#database.rows(statement);
    if (row === undefined)
      throw new CountersignError('INTERNAL', 'The ledger neither opened the approval request nor had it.');
    return timesOf(row);
  }

  /** Takes it off the list: it is answered. The end of its action does so too. Idempotent. @returns whether it was on it */
  async close({ tenant, actionId }: { readonly tenant: string; readonly actionId: string }): Promise<boolean> {
    const rows = await this.#database.rows({
      name: 'close_approval_request',
      query: sql`
        with ${closing(this.#database, { tenant, actionId }, sql`(values (true)) as always`)}
        select from closed`,
    });
    return rows.length > 0;
  }

  /**
   * Records a signed decision that was verified. Decisions of one person are recorded one at a time, so each of several simultaneous
   * approvals counts those recorded before it.
   *
   * @throws CountersignError INTERNAL when the digest was recorded for another decision
   */
  recordDecision(request: PersonDecision): Promise<RecordedDecision> {
    return decide(this.#database, request);
  }

  /** Since the action was first asked about, in seconds; 0 when it never was. */
  async secondsWaited(tenant: string, actionId: string): Promise<number> {
    const [row] = await this.#database.rows<{ seconds: number }>({
      name: 'approval_request_waited',
      query: sql<{ seconds: number }>`
        select extract(epoch from clock_timestamp() - first_asked_at)::float8 as seconds
        from ${this.#database.table('approval_requests')} where tenant = ${tenant} and action_id = ${actionId}`,
    });
    return Math.max(0, row?.seconds ?? 0);
  }

  /** What waits for people. @throws CountersignError INVALID_INPUT when the cursor is none */
  async page({
    tenant,
    cursor,
    limit = 25,
    filter = {},
  }: {
    readonly tenant: string;
    /** The `next` of the page before. */
    readonly cursor?: string;
    /** At most 200, default 25. */
    readonly limit?: number;
    readonly filter?: ApprovalRequestFilter;
  }): Promise<ApprovalRequestPage> {
    const most = pageSize(limit);
    const from = cursor === undefined ? undefined : timeAndId(cursor);
    const rows = await this.#database.ask(async (kysely) => {
      const beyond =
        from === undefined ? sql`` : sql`and (a.expires_at, a.action_id) > (${from[0]}::timestamptz, ${from[1]})`;
      const found = await sql<ListedRow>`
        select ${LISTED}, ${decisionsSoFar(this.#database, tenant)} as decisions
        from ${this.#database.table('approval_requests')} as a
        where ${waiting(this.#database, tenant, filter)} ${beyond}
        order by a.expires_at, a.action_id
        limit ${sql.lit(most + 1)}`.execute(kysely);
      return found.rows;
    });
    const requests = rows.slice(0, most).map((row) => listed(tenant, row));
    const last = requests.at(-1);
    return {
      requests,
      ...(rows.length > most && last !== undefined ? { next: cursorText([last.expiresAt, last.actionId]) } : {}),
    };
  }

  /** How many wait, counted up to `most`, default 1000. */
  async count({
    tenant,
    filter = {},
    most = 1000,
  }: {
    readonly tenant: string;
    readonly filter?: ApprovalRequestFilter;
    readonly most?: number;
  }): Promise<ApprovalRequestCount> {
    const { rows } = await this.#database.ask((kysely) =>
      sql<{ count: number }>`
        select count(*)::int as count from (
          select from ${this.#database.table('approval_requests')} as a
          where ${waiting(this.#database, tenant, filter)}
          order by a.expires_at, a.action_id
          limit ${sql.lit(Math.trunc(most) + 1)}
        ) as listed`.execute(kysely),
    );
    const count = rows[0]?.count ?? 0;
    return { count: Math.min(count, most), more: count > most };
  }

  /** What people were or are asked about an action, as they were shown it last. */
  async find(tenant: string, actionId: string): Promise<ApprovalRequest | undefined> {
    const [row] = await this.#database.rows<FoundRow>({
      name: 'find_approval_request',
      query: sql<FoundRow>`
        select ${LISTED}, a.shown, a.decision, a.closed_at, ${decisionsSoFar(this.#database, tenant)} as decisions
        from ${this.#database.table('approval_requests')} as a
        where a.tenant = ${tenant} and a.action_id = ${actionId}`,
    });
    if (row === undefined) return undefined;
    return {
      ...listed(tenant, row),
      shown: row.shown,
      decision: row.decision,
      ...(row.closed_at === null ? {} : { closedAt: row.closed_at.toISOString() }),
    };
  }

  /** Another text whenever a request of the tenant was opened, shown anew or closed, or decided on. Not when time alone passed. One row by key. */
  fingerprint(tenant: string): Promise<string> {
    return fingerprint(this.#database, tenant);
  }
}
