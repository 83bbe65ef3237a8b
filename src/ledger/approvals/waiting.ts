/** Which approval requests wait for people: their actions are admitted and have not ended, or they are canaries. */
import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../database/database.js';
import { containing } from '../database/text.js';
import type { ApprovalRequestFilter } from './approval-request-list.js';

/**
 * Whether the action of the request is admitted and has no outcome; or it is a canary that nobody has decided on. Subselects, so that it stays
 * one look by key for each that is listed, and a second for what is no action.
 */
export function isOpen(database: Database, tenant: string, request: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`coalesce((
    select x.status is null from ${database.table('actions')} as x
    where x.tenant = ${tenant} and x.action_id = ${request}.action_id
  ), (
    select c.ending is null and c.expires_at > statement_timestamp() from ${database.table('canaries')} as c
    where c.tenant = ${tenant} and c.action_id = ${request}.action_id
  ), false)`;
}

export function waiting(database: Database, tenant: string, filter: ApprovalRequestFilter): RawBuilder<unknown> {
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
