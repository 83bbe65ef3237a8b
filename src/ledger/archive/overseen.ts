/** What people decided in a period, with what they were asked by. */
import { sql } from 'kysely';
import type { Requirement } from '../../action/decision.js';
import type { OverseenDecision } from '../../action/oversight.js';
import type { ApprovalRecord } from '../../action/outcome.js';
import type { Database } from '../database/database.js';

export interface OverseenDecisions {
  /** Latest first. */
  readonly decisions: readonly OverseenDecision[];
  /** Whether the period has more of them, earlier than those. */
  readonly more: boolean;
}

export interface OverseenOptions {
  /** Whose alone. Default everybody's. */
  readonly person?: string | undefined;
  readonly most?: number;
}

/** However much people decide, no report looks at more. */
const MOST_DECISIONS = 100_000;

interface OverseenRow {
  readonly person: string;
  readonly record: ApprovalRecord;
  readonly waited_seconds: number | null;
  readonly over_rate_limit: boolean;
  readonly refused: boolean;
  readonly decided_at: Date;
  readonly requirements: readonly Requirement[] | null;
}

export async function overseenDecisions(
  database: Database,
  tenant: string,
  from: Date,
  { person, most = MOST_DECISIONS }: OverseenOptions = {},
): Promise<OverseenDecisions> {
  // Records are read whole: one with \u0000 in it is JSON that Postgres cannot look into.
  const rows = await database.rows<OverseenRow>({
    name: 'overseen_decisions',
    query: sql<OverseenRow>`
      select d.person, d.record, d.waited_seconds, d.over_rate_limit, d.refused, d.decided_at, q.requirements
      from ${database.table('decisions')} as d
      left join ${database.table('approval_requests')} as q on q.tenant = d.tenant and q.action_id = d.action_id
      where d.tenant = ${tenant} and d.decided_at >= ${from}
        and (${person?.toLowerCase() ?? null}::text is null or d.person = ${person?.toLowerCase() ?? null})
      order by d.decided_at desc, d.digest
      limit ${most + 1}`,
  });
  return { decisions: rows.slice(0, most).map(overseen), more: rows.length > most };
}

function overseen({ person, record, requirements, ...row }: OverseenRow): OverseenDecision {
  const asked = requirements?.filter(({ roles }) => roles.some((role) => record.roles.includes(role)));
  const askedRoles = new Set(asked?.flatMap(({ roles }) => roles));
  return {
    person,
    verdict: record.verdict,
    roles: asked === undefined ? record.roles : record.roles.filter((role) => askedRoles.has(role)),
    rules: asked?.map(({ policy }) => policy) ?? [],
    ...(row.waited_seconds === null ? {} : { waitedSeconds: row.waited_seconds }),
    overRateLimit: row.over_rate_limit,
    refused: row.refused,
    at: row.decided_at.toISOString(),
  };
}
