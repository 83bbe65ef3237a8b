/** What people are asked: the list of what waits for them. */
import { sql, type RawBuilder } from 'kysely';
import type {
  ApprovalRequest,
  ApprovalRequestTimes,
  ApproverRole,
  ListedApprovalRequest,
} from '../../action/approval-request.js';
import type { ActionType, Decision, Requirement } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import { canonical, type Digest } from '../../action/json.js';
import type { ApprovalRecord, Shown } from '../../action/outcome.js';
import { cursorText, pageSize, timeAndId } from '../database/cursor.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { containing, plain } from '../database/text.js';
import type {
  ApprovalRequestCount,
  ApprovalRequestFilter,
  ApprovalRequestPage,
  NewApprovalRequest,
  PersonDecision,
  RecordedDecision,
} from './approval-request-list.js';
import { changed, closing, fingerprint } from './list-changes.js';
import { decide, decisionsSoFar, recordOf, type DecisionJson } from './person-decisions.js';

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

  /** How many wait over all tenants, counted up to `most`: a figure for the operator. */
  async countAll(most: number): Promise<number> {
    const [row] = await this.#database.rows({
      name: 'count_all_approval_requests',
      query: sql<{ count: number }>`
        select count(*)::int as count from (
          select from ${this.#database.table('approval_requests')} where closed_at is null limit ${most}
        ) as waiting`,
    });
    return row?.count ?? 0;
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

interface TimesRow {
  readonly first_asked_at: Date;
  readonly asked_at: Date;
  readonly expires_at: Date;
}

interface ListedRow extends TimesRow {
  readonly action_id: string;
  readonly shown_digest: Digest;
  readonly policy_digest: Digest;
  readonly requirements: readonly Requirement[];
  readonly environment: string;
  readonly tool: string;
  readonly operation: string;
  readonly action_type: ActionType;
  readonly agent: string;
  readonly via: readonly string[];
  readonly roles: readonly string[];
  readonly role_after: readonly number[];
  readonly summary: string;
  readonly reason: string;
  readonly given: readonly ApprovalRecord[];
  readonly revises: string | null;
  readonly decisions: readonly DecisionJson[];
}

interface FoundRow extends ListedRow {
  readonly shown: Shown;
  readonly decision: Decision;
  readonly closed_at: Date | null;
}

const LISTED = sql`
  a.action_id, a.shown_digest, a.policy_digest, a.requirements, a.environment, a.tool, a.operation, a.action_type, a.agent, a.via,
  a.roles, a.role_after, a.summary, a.reason, a.given, a.revises, a.first_asked_at, a.asked_at, a.expires_at`;

/** Times are whole milliseconds, so that what a page ended with is where the next begins. */
const NOW = sql`select date_trunc('milliseconds', clock_timestamp()) as at`;

/** How many requests of ended actions that nobody closed are taken off the list along the way. */
const SWEPT = 10;

function opening(database: Database, request: NewApprovalRequest): PreparedStatement<TimesRow> {
  const { tenant, actionId, shown, shownDigest, decision, given = [], renewed = false, via = [] } = request;
  const { requirements, tool, proposal } = shown;
  const ttlSeconds = request.ttlSeconds ?? Math.min(...requirements.map((one) => one.ttlSeconds));
  if (requirements.length === 0 || !Number.isFinite(ttlSeconds)) {
    throw new CountersignError('INVALID_INPUT', `The approval request of ${actionId} asks nobody for anything.`, {
      field: 'request.shown.requirements',
      expected: 'at least one requirement, and how long it waits',
      fix: 'Open a request only for an action that waits for people.',
    });
  }
  const roles = rolesOf(requirements);
  const requests = database.table('approval_requests');
  return {
    name: 'open_approval_request',
    query: sql<TimesRow>`
      with now as materialized (${NOW}),
      opened as (
        insert into ${requests} as a (
          tenant, action_id, shown, shown_digest, decision, policy_digest, requirements, environment, tool, operation, action_type,
          agent, via, roles, role_after, summary, reason, given, revises, first_asked_at, asked_at, expires_at
        )
        select
          ${tenant}, ${actionId}, ${canonical(shown)}, ${shownDigest}, ${canonical(decision)}, ${decision.policyDigest},
          ${canonical(requirements)}, ${tool.environment}, ${tool.name}, ${plain(shown.operation)}, ${shown.actionType},
          ${shown.agent.id}, ${via}::text[], ${roles.map(({ role }) => role)}::text[],
          ${roles.map(({ afterSeconds = 0 }) => afterSeconds)}::integer[], ${plain(shown.preview.summary)},
          ${plain(decision.reason)}, ${canonical(given)}, ${proposal.revises ?? null}, now.at, now.at,
          now.at + ${ttlSeconds}::float8 * interval '1 second'
        from now
        on conflict (tenant, action_id) do update set
          shown = excluded.shown, shown_digest = excluded.shown_digest, decision = excluded.decision,
          policy_digest = excluded.policy_digest, requirements = excluded.requirements, environment = excluded.environment,
          tool = excluded.tool, operation = excluded.operation, action_type = excluded.action_type, agent = excluded.agent,
          via = excluded.via, roles = excluded.roles, role_after = excluded.role_after, summary = excluded.summary,
          reason = excluded.reason, given = excluded.given, revises = excluded.revises,
          asked_at = excluded.asked_at, expires_at = excluded.expires_at, closed_at = null
        where a.shown_digest <> excluded.shown_digest or a.closed_at is not null or a.expires_at <= excluded.asked_at
          or a.given::text <> excluded.given::text or ${renewed}
        returning a.first_asked_at, a.asked_at, a.expires_at
      ),
      ${changed(database, tenant, actionId, sql`opened`)},
      swept as (
        update ${requests} as s set closed_at = now.at
        from now, (
          select o.action_id from ${requests} as o
          where o.tenant = ${tenant} and o.closed_at is null and o.expires_at < statement_timestamp()
            and o.action_id <> ${actionId} and not ${isOpen(database, tenant, sql`o`)}
          order by o.expires_at, o.action_id
          limit ${sql.lit(SWEPT)}
          for update skip locked
        ) as over
        where s.tenant = ${tenant} and s.action_id = over.action_id
      )
      select first_asked_at, asked_at, expires_at from opened
      union all
      select first_asked_at, asked_at, expires_at from ${requests}
      where tenant = ${tenant} and action_id = ${actionId} and not exists (select from opened)`,
  };
}

/** Whether the action of the request is admitted and has no outcome. A subselect, so that it stays one look by key for each that is listed. */
function isOpen(database: Database, tenant: string, request: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`coalesce((
    select x.status is null from ${database.table('actions')} as x
    where x.tenant = ${tenant} and x.action_id = ${request}.action_id
  ), false)`;
}

function waiting(database: Database, tenant: string, filter: ApprovalRequestFilter): RawBuilder<unknown> {
  const { environment, tool, agent, roles, text } = filter;
  const all = [sql`a.tenant = ${tenant} and a.closed_at is null`];
  if (environment !== undefined) all.push(sql`a.environment = ${environment}`);
  if (tool !== undefined) all.push(sql`a.tool = ${tool}`);
  if (agent !== undefined) all.push(sql`a.agent = ${agent}`);
  if (roles !== undefined) {
    all.push(sql`exists (
      select from unnest(a.roles, a.role_after) as may(role, seconds)
      where may.role = any(${roles}::text[]) and a.first_asked_at + may.seconds * interval '1 second' <= statement_timestamp()
    )`);
  }
  if (text !== undefined && text !== '') {
    const like = containing(text);
    all.push(sql`(a.action_id ilike ${like} or a.agent ilike ${like} or a.tool ilike ${like} or a.operation ilike ${like}
      or a.summary ilike ${like} or a.reason ilike ${like})`);
  }
  all.push(isOpen(database, tenant, sql`a`));
  return sql.join(all, sql` and `);
}

const MOST_SECONDS = 2 ** 31 - 1;

function rolesOf(requirements: readonly Requirement[]): ApproverRole[] {
  const earliest = new Map<string, number>();
  const add = (role: string, seconds: number): unknown =>
    earliest.set(role, Math.min(seconds, earliest.get(role) ?? MOST_SECONDS));
  for (const { roles, escalations = [] } of requirements) {
    for (const role of roles) add(role, 0);
    for (const { afterSeconds, roles: more } of escalations)
      for (const role of more) add(role, Math.ceil(afterSeconds));
  }
  return [...earliest].map(([role, afterSeconds]) => ({ role, afterSeconds }));
}

function listed(tenant: string, row: ListedRow): ListedApprovalRequest {
  return {
    tenant,
    actionId: row.action_id,
    shownDigest: row.shown_digest,
    policyDigest: row.policy_digest,
    environment: row.environment,
    tool: row.tool,
    operation: row.operation,
    actionType: row.action_type,
    agent: row.agent,
    via: row.via,
    roles: row.roles.map((role, index) => {
      const afterSeconds = row.role_after[index] ?? 0;
      return afterSeconds === 0 ? { role } : { role, afterSeconds };
    }),
    requirements: row.requirements,
    summary: row.summary,
    reason: row.reason,
    ...(row.revises === null ? {} : { revises: row.revises }),
    ...timesOf(row),
    decisions: [...row.given, ...row.decisions.map(recordOf)],
  };
}

function timesOf(row: TimesRow): ApprovalRequestTimes {
  return {
    firstAskedAt: row.first_asked_at.toISOString(),
    askedAt: row.asked_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
  };
}
