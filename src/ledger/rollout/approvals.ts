/** People's yes to promotions that need several people. Each is about the activation that was in force when it was given. */
import { sql } from 'kysely';
import { withoutUndefined, type Digest } from '../../action/json.js';
import type { Database } from '../database/database.js';

export interface PolicyApproval {
  /** Of the signed command that it is. */
  readonly id: string;
  readonly candidate: Digest;
  /** Number of the change that made the active policy active; 0 where none was. */
  readonly activeSince: number;
  readonly evidence?: Digest | undefined;
  readonly tenant: string;
  readonly person: string;
  readonly credentials: readonly string[];
  /** What the person signed. */
  readonly statement: string;
}

export interface ApprovalQuery {
  readonly candidate: Digest;
  readonly activeSince: number;
  readonly evidence?: Digest | undefined;
}

/** After this, a yes counts no more. Seconds. */
const GOOD_FOR_SECONDS = 24 * 60 * 60;

export async function addApproval(database: Database, approval: PolicyApproval): Promise<void> {
  const { id, candidate, activeSince, evidence = null, tenant, person, credentials, statement } = approval;
  await database.rows({
    name: 'add_policy_approval',
    query: sql`
      insert into ${database.table('policy_approvals')} (id, candidate, active_since, evidence, tenant, person, credentials, statement)
      values (${id}, ${candidate}, ${activeSince}, ${evidence}, ${tenant}, ${person}, ${credentials}::text[], ${statement})
      on conflict (id) do nothing`,
  });
}

interface ApprovalRow {
  readonly id: string;
  readonly candidate: Digest;
  readonly active_since: string;
  readonly evidence: Digest | null;
  readonly tenant: string;
  readonly person: string;
  readonly credentials: readonly string[];
  readonly statement: string;
}

/** The earliest that each person gave, by the database's clock. */
export async function approvals(
  database: Database,
  { candidate, activeSince, evidence }: ApprovalQuery,
): Promise<readonly PolicyApproval[]> {
  const rows = await database.rows({
    name: 'policy_approvals',
    query: sql<ApprovalRow>`
      select * from (
        select distinct on (lower(person)) * from ${database.table('policy_approvals')}
        where candidate = ${candidate} and active_since = ${activeSince} and evidence is not distinct from ${evidence ?? null}
          and given_at > clock_timestamp() - make_interval(secs => ${sql.lit(GOOD_FOR_SECONDS)})
        order by lower(person), given_at, id
      ) as each
      order by given_at, id`,
  });
  return rows.map(({ id, active_since, tenant, person, credentials, statement, ...row }) =>
    withoutUndefined({
      id,
      candidate,
      activeSince: Number(active_since),
      evidence: row.evidence ?? undefined,
      tenant,
      person,
      credentials,
      statement,
    }),
  );
}
