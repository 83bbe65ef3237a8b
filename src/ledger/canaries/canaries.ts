/** Canaries: what was sent to see whether people look, and how that ended. Their approval requests are among the others; nothing else of one is. */
import { sql } from 'kysely';
import type { Canary } from '../../action/canary.js';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import { canonical } from '../../action/json.js';
import type { ApprovalRecord, CanaryEnding, Verdict } from '../../action/outcome.js';
import { samePerson } from '../../action/quorum.js';
import type { NewApprovalRequest } from '../approvals/approval-request-list.js';
import { closing } from '../approvals/list-changes.js';
import { opening } from '../approvals/opening.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { plain } from '../database/text.js';

export interface NewCanary extends Pick<
  NewApprovalRequest,
  'tenant' | 'actionId' | 'shown' | 'shownDigest' | 'decision'
> {
  /** What its pre-state's digest is of. The same for every attempt to open it. */
  readonly nonce: string;
  readonly sentBy?: string;
  readonly reason: string;
  /** How many may be sent to the tenant in seven days, wait at the same time, and be decided by one person in 24 hours. */
  readonly most: { readonly perWeek: number; readonly open: number; readonly perPersonPerDay: number };
}

interface CanaryRow {
  readonly action_id: string;
  readonly nonce: string;
  readonly shown_digest: Digest;
  readonly rules: readonly string[];
  readonly roles: readonly string[];
  readonly sent_by: string | null;
  readonly reason: string;
  readonly sent_at: Date;
  readonly expires_at: Date;
  readonly ending: CanaryEnding | null;
  readonly ended_at: Date | null;
  readonly verdict: Verdict | null;
  readonly record: ApprovalRecord | null;
  readonly waited_seconds: number | null;
}

interface Opened {
  readonly made: boolean;
  readonly taken: boolean;
  readonly weekly: number;
  readonly open: number;
}

/** However many were sent, no report looks at more. */
const MOST_LISTED = 10_000;

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Canaries {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Puts a canary among the approval requests. Idempotent.
   *
   * @throws CountersignError ACTION_CONFLICT where something else has the id; RATE_LIMITED where enough were sent, or wait
   */
  async open(canary: NewCanary): Promise<Canary> {
    const { tenant } = canary;
    const before = await this.opened(canary);
    if (before !== undefined) return before;
    const opened = await this.#database.transaction(async (session) => {
      await session.run('begin');
      await session.rows({
        name: 'canaries_one_by_one',
        query: sql`select pg_advisory_xact_lock(hashtextextended(${`${this.#database.schema}/canaries/${tenant}`}, 0))`,
      });
      const [times] = await session.rows(opening(this.#database, canary));
      if (times === undefined) return undefined;
      const [row] = await session.rows(this.#inserting(canary, times));
      // What is not committed is rolled back, with the approval request.
      if (row?.made === true) await session.run('commit');
      return row;
    });
    // Another attempt may have opened it since this one looked.
    const now = await this.opened(canary);
    if (now === undefined) throw notOpened(canary, opened);
    return now;
  }

  /** What was opened with that nonce, in this attempt or an earlier one. */
  async opened({
    tenant,
    actionId,
    nonce,
  }: Pick<NewCanary, 'tenant' | 'actionId' | 'nonce'>): Promise<Canary | undefined> {
    const row = await this.#row(tenant, actionId);
    return row?.nonce === nonce ? toCanary(tenant, row) : undefined;
  }

  async find(tenant: string, actionId: string): Promise<Canary | undefined> {
    const row = await this.#row(tenant, actionId);
    return row === undefined ? undefined : toCanary(tenant, row);
  }

  /**
   * Ends it with a verified decision; the first one ends it. Idempotent.
   *
   * @throws CountersignError NOT_PENDING where it is over
   */
  async decide(
    key: { readonly tenant: string; readonly actionId: string; readonly shownDigest: Digest },
    record: ApprovalRecord,
  ): Promise<Canary> {
    await this.#end(key, 'decided', record);
    const canary = await this.find(key.tenant, key.actionId);
    if (canary?.decision?.record.digest === record.digest) return canary;
    throw new CountersignError('NOT_PENDING', `Action ${key.actionId} is decided: it is not waiting for a person.`);
  }

  /** Ends it where nobody decided. Idempotent. @returns how it is now; undefined where there is none */
  async close(
    key: { readonly tenant: string; readonly actionId: string },
    ending: 'expired' | 'withdrawn',
  ): Promise<Canary | undefined> {
    await this.#end(key, ending);
    return this.find(key.tenant, key.actionId);
  }

  /** Those sent since, the latest first, at most 10,000. `decidedBy`: those alone that this person decided on. */
  async since(
    tenant: string,
    from: Date,
    { decidedBy }: { readonly decidedBy?: string | undefined } = {},
  ): Promise<{ readonly canaries: readonly Canary[]; readonly more: boolean }> {
    const rows = await this.#database.rows<CanaryRow>({
      name: 'canaries_since',
      query: sql<CanaryRow>`
        select * from ${this.#database.table('canaries')} where tenant = ${tenant} and sent_at >= ${from}
        order by sent_at desc, action_id limit ${sql.lit(MOST_LISTED + 1)}`,
    });
    const canaries = rows.slice(0, MOST_LISTED).map((row) => toCanary(tenant, row));
    const more = rows.length > MOST_LISTED;
    if (decidedBy === undefined) return { canaries, more };
    // The record is read whole: one with \u0000 in it is JSON that Postgres cannot look into.
    const own = canaries.filter(
      ({ decision: made }) => made !== undefined && samePerson(made.record.approver, decidedBy),
    );
    return { canaries: own, more };
  }

  async #row(tenant: string, actionId: string): Promise<CanaryRow | undefined> {
    const [row] = await this.#database.rows<CanaryRow>({
      name: 'find_canary',
      query: sql<CanaryRow>`
        select * from ${this.#database.table('canaries')} where tenant = ${tenant} and action_id = ${actionId}`,
    });
    return row;
  }

  #inserting(canary: NewCanary, times: { first_asked_at: Date; expires_at: Date }): PreparedStatement<Opened> {
    const { tenant, actionId, nonce, shownDigest, shown, sentBy = null, reason, most } = canary;
    const rules = [...new Set(shown.requirements.map(({ policy }) => policy))];
    const roles = [...new Set(shown.requirements.flatMap((one) => one.roles))];
    const canaries = this.#database.table('canaries');
    // An action is admitted a moment before people are asked: one of which both times were the same would stand out.
    return {
      name: 'open_canary',
      query: sql<Opened>`
        with sent as materialized (
          select count(*) filter (where sent_at > clock_timestamp() - interval '7 days')::int as weekly,
            count(*) filter (where ending is null and expires_at > clock_timestamp())::int as open
          from ${canaries} where tenant = ${tenant} and sent_at > clock_timestamp() - interval '60 days'
        ),
        -- Whoever decided most of them, and may decide each that waits.
        busiest as materialized (
          select coalesce(max(decided), 0)::int as decided from (
            select count(*) as decided from ${canaries}
            where tenant = ${tenant} and decided_by is not null and ended_at > clock_timestamp() - interval '24 hours'
            group by decided_by
          ) as people
        ),
        taken as materialized (
          select exists (select from ${this.#database.table('actions')} where tenant = ${tenant} and action_id = ${actionId})
            or exists (select from ${canaries} where tenant = ${tenant} and action_id = ${actionId}) as taken
        ),
        made as (
          insert into ${canaries} (tenant, action_id, nonce, shown_digest, rules, roles, sent_by, reason, sent_at, expires_at)
          select ${tenant}, ${actionId}, ${nonce}, ${shownDigest}, ${rules}::text[], ${roles}::text[], ${sentBy}, ${plain(reason, 2000)},
            ${times.first_asked_at}::timestamptz - (2 + random() * 8) * interval '1 millisecond', ${times.expires_at}
          from sent, taken, busiest
          where sent.weekly < ${most.perWeek} and sent.open < ${most.open}
            and sent.open + busiest.decided < ${most.perPersonPerDay} and not taken.taken
          returning 1
        )
        select exists (select from made) as made, taken, weekly, open from sent, taken`,
    };
  }

  async #end(
    {
      tenant,
      actionId,
      shownDigest,
    }: { readonly tenant: string; readonly actionId: string; readonly shownDigest?: Digest },
    ending: CanaryEnding,
    record?: ApprovalRecord,
  ): Promise<void> {
    const canaries = this.#database.table('canaries');
    const verdict = record?.verdict ?? null;
    await this.#database.rows({
      name: 'end_canary',
      query: sql`
        with now as materialized (select clock_timestamp() as at),
        ended as (
          update ${canaries} as c set ending = ${ending}, ended_at = now.at, verdict = ${verdict},
            record = ${record === undefined ? null : canonical(record)}::json,
            decided_by = ${record === undefined ? null : plain(record.approver.toLowerCase(), 255)},
            waited_seconds = case when ${verdict}::text is not null then
              round(greatest(0, extract(epoch from now.at - c.sent_at)), 3)::float8
            end
          from now
          where c.tenant = ${tenant} and c.action_id = ${actionId} and c.ending is null
            and coalesce(c.shown_digest = ${shownDigest ?? null}, true) and (${verdict}::text is null or c.expires_at > now.at)
          returning c.action_id
        ),
        ${closing(this.#database, { tenant, actionId }, sql`ended`)}
        select from closed`,
    });
  }
}

function notOpened({ tenant, actionId, most }: NewCanary, opened: Opened | undefined): CountersignError {
  if (opened === undefined || opened.taken) {
    return new CountersignError('ACTION_CONFLICT', `Something else has the id ${actionId}.`, {
      field: 'actionId',
      expected: 'an id that was never used',
      fix: 'Send it under another id.',
    });
  }
  return limited(tenant, most, opened);
}

function limited(tenant: string, most: NewCanary['most'], { weekly, open }: Opened): CountersignError {
  const refuse = (message: string, field: string, expected: string): CountersignError =>
    new CountersignError('RATE_LIMITED', message, {
      field,
      expected,
      fix: 'Send it later: people who are tested all the time learn nothing but that.',
    });
  if (weekly >= most.perWeek) {
    const message = `${weekly} canaries were sent to ${tenant} within seven days.`;
    return refuse(message, 'oversight.canaries.mostPerWeek', `at most ${most.perWeek} in seven days`);
  }
  if (open >= most.open)
    return refuse(`${open} canaries wait in ${tenant} already.`, 'canary', `at most ${most.open} at the same time`);
  return refuse(
    `Somebody in ${tenant} may come to decide more than ${most.perPersonPerDay} canaries within 24 hours.`,
    'oversight.canaries.mostPerPersonPerDay',
    `at most ${most.perPersonPerDay} of one person in 24 hours, those that wait counted in`,
  );
}

function toCanary(tenant: string, row: CanaryRow): Canary {
  return {
    tenant,
    actionId: row.action_id,
    shownDigest: row.shown_digest,
    rules: row.rules,
    roles: row.roles,
    ...(row.sent_by === null ? {} : { sentBy: row.sent_by }),
    reason: row.reason,
    sentAt: row.sent_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    ...(row.ending === null ? {} : { ending: row.ending }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at.toISOString() }),
    ...(row.record === null || row.waited_seconds === null
      ? {}
      : { decision: { record: row.record, waitedSeconds: row.waited_seconds } }),
  };
}
