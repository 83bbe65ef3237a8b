/** Opens an approval request: one statement that puts it on the list, and sweeps off some whose actions have ended. */
import { sql } from 'kysely';
import type { ApproverRole } from '../../action/approval-request.js';
import type { Requirement } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import { canonical } from '../../action/json.js';
import type { Database, PreparedStatement } from '../database/database.js';
import { plain } from '../database/text.js';
import type { NewApprovalRequest } from './approval-request-list.js';
import type { TimesRow } from './approval-request-rows.js';
import { changed } from './list-changes.js';
import { isOpen } from './waiting.js';

/** Times are whole milliseconds, so that what a page ended with is where the next begins. */
const NOW = sql`select date_trunc('milliseconds', clock_timestamp()) as at`;

/** How many requests of ended actions that nobody closed are taken off the list along the way. */
const SWEPT = 10;

/** @throws CountersignError INVALID_INPUT when nobody is asked for anything */
export function opening(database: Database, request: NewApprovalRequest): PreparedStatement<TimesRow> {
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
