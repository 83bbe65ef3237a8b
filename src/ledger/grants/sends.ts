/** The sends of an action, counted over all of its grants and runs; and which attempt may make them. */
import { sql, type RawBuilder } from 'kysely';
import type { Database } from '../database/database.js';
import type { CountSendRequest, GrantHolder, SendCount, SendRefusal } from './grant-use.js';

const STRETCH_MS = 60_000;

/** The last attempt of a grant that belongs to none. */
export const NO_ATTEMPT = 2_147_483_647;

/** Whatever number the server gives an attempt, it is never that one. */
export function attemptOf({ attempt = 1 }: Pick<GrantHolder, 'attempt'>): number {
  return Math.min(attempt, NO_ATTEMPT - 1);
}

/** Locks the grant and then the action, in the order in which a grant is used: of a send and of whoever overtakes its attempt, one is first. */
export async function countSend(
  database: Database,
  { jti, tenant, actionId, usedBy, stretchMs, ...request }: CountSendRequest,
): Promise<SendCount | SendRefusal> {
  const attempt = attemptOf(request);
  const rows = await database.rows({
    name: 'count_send',
    query: sql<StandingRow & { readonly sent: SendCount | null }>`
      with held as materialized (
        select attempt, returned_at from ${database.table('grants')}
        where jti = ${jti} and tenant = ${tenant} and action_id = ${actionId} and used_by = ${usedBy}
        for share
      ),
      counted as (
        update ${database.table('actions')} as a set ${countedSend(stretchMs)}
        from held
        where a.tenant = ${tenant} and a.action_id = ${actionId} and a.receipt_seq is null
          and held.attempt = ${attempt} and held.returned_at is null
        returning ${sentNow}
      )
      select (select sent from counted) as sent, a.receipt_seq is not null as ended,
        exists (select from held where attempt = ${attempt}) as ours, exists (select from held where returned_at is not null) as returned
      from ${database.table('actions')} as a
      where a.tenant = ${tenant} and a.action_id = ${actionId}`,
  });
  const [row] = rows;
  // Where it looks as if nothing stood against it, the action has ended since.
  return row?.sent ?? refusalIn(row) ?? 'ended';
}

export async function refusalOf(
  database: Database,
  { jti, tenant, actionId, usedBy, ...request }: GrantHolder,
): Promise<SendRefusal | undefined> {
  const attempt = attemptOf(request);
  const rows = await database.rows({
    name: 'send_refused',
    query: sql<StandingRow>`
      select a.receipt_seq is not null as ended, g.attempt is not distinct from ${attempt} as ours, g.returned_at is not null as returned
      from ${database.table('actions')} as a
      left join ${database.table('grants')} as g
        on g.jti = ${jti} and g.tenant = a.tenant and g.action_id = a.action_id and g.used_by = ${usedBy}
      where a.tenant = ${tenant} and a.action_id = ${actionId}`,
  });
  return refusalIn(rows[0]);
}

interface StandingRow {
  readonly ended: boolean;
  /** Whether no later attempt used the grant. */
  readonly ours: boolean;
  readonly returned: boolean;
}

function refusalIn(row: StandingRow | undefined): SendRefusal | undefined {
  if (row?.ended === true) return 'ended';
  if (row?.ours !== true) return 'overtaken';
  return row.returned ? 'returned' : undefined;
}

/** Counts a send in an update of the action's row. Counting and reading use one clock, which all workers share. */
export function countedSend(stretchMs = STRETCH_MS): RawBuilder<unknown> {
  return sql`
    sends = a.sends + 1,
    first_sent_at = coalesce(a.first_sent_at, clock_timestamp()),
    last_sent_at = clock_timestamp(),
    sending_since = case
      when a.last_sent_at > clock_timestamp() - make_interval(secs => ${stretchMs / 1000}::float8) then a.sending_since
      else clock_timestamp()
    end`;
}

export const sentNow = sql`json_build_object(
  'sends', a.sends,
  'sendingMs', greatest(0, extract(epoch from clock_timestamp() - a.sending_since) * 1000)::float8,
  'sinceFirstMs', greatest(0, extract(epoch from clock_timestamp() - a.first_sent_at) * 1000)::float8
) as sent`;
