/** Where the policy in shadow decided otherwise than the active one: counts and examples, as workers add them up. */
import { sql } from 'kysely';
import { canonical, digestText, type Digest } from '../../action/json.js';
import type { DivergenceExample, DivergenceKind, PolicyDivergence, ShadowCounts } from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';

/** What a worker counted in a while. */
export interface ShadowBatch extends Pick<
  ShadowCounts,
  'candidate' | 'baseline' | 'evaluated' | 'diverged' | 'errors' | 'dropped' | 'maxMs'
> {
  readonly totalMs: number;
  readonly divergences: readonly CountedDivergence[];
}

export type CountedDivergence = Omit<PolicyDivergence, 'candidate' | 'baseline' | 'firstAt' | 'lastAt'>;

/** The same decision, made otherwise in the same way, by the same agent with the same tool. */
export function divergenceKey({
  tenant,
  kind,
  tool,
  agent,
  live,
  shadow,
}: Omit<CountedDivergence, 'count' | 'examples'>): Digest {
  return digestText(canonical([tenant, kind, tool, agent, live.effect, live.rules, shadow.effect, shadow.rules]));
}

export async function noteShadow(database: Database, batch: ShadowBatch): Promise<void> {
  const { candidate, baseline, divergences, ...counts } = batch;
  const rows = divergences.map((divergence) => ({
    key: divergenceKey(divergence),
    tenant: divergence.tenant,
    kind: divergence.kind,
    tool: divergence.tool,
    agent: divergence.agent,
    liveEffect: divergence.live.effect,
    liveRules: divergence.live.rules,
    shadowEffect: divergence.shadow.effect,
    shadowRules: divergence.shadow.rules,
    count: divergence.count,
    examples: divergence.examples.map(({ actionId, liveReason, shadowReason }) => ({
      actionId,
      liveReason: plain(liveReason, 300),
      shadowReason: plain(shadowReason, 300),
    })),
  }));
  await database.rows({
    name: 'note_shadow',
    query: sql`
      select ${sql.id(database.schema, 'note_shadow')}(${candidate}, ${baseline}, ${JSON.stringify(counts)}::jsonb, ${JSON.stringify(rows)}::jsonb)`,
  });
}

interface DivergenceRow {
  readonly candidate: Digest;
  readonly baseline: Digest;
  readonly tenant: string;
  readonly kind: DivergenceKind;
  readonly tool: string;
  readonly agent: string;
  readonly live_effect: string;
  readonly live_rules: readonly string[];
  readonly shadow_effect: string;
  readonly shadow_rules: readonly string[];
  readonly count: string;
  readonly examples: readonly DivergenceExample[];
  readonly first_at: Date;
  readonly last_at: Date;
}

export interface DivergenceQuery {
  readonly candidate: Digest;
  /** Default: every tenant. */
  readonly tenant?: string | undefined;
  readonly limit?: number;
}

export async function divergences(
  database: Database,
  { candidate, tenant, limit = 100 }: DivergenceQuery,
): Promise<readonly PolicyDivergence[]> {
  const rows = await database.rows({
    name: 'policy_divergences',
    query: sql<DivergenceRow>`
      select * from ${database.table('policy_divergences')}
      where candidate = ${candidate} and (${tenant ?? null}::text is null or tenant = ${tenant ?? null})
      order by count desc, key
      limit ${Math.min(limit, 1000)}`,
  });
  return rows.map((row) => ({
    candidate: row.candidate,
    baseline: row.baseline,
    tenant: row.tenant,
    kind: row.kind,
    tool: row.tool,
    agent: row.agent,
    live: { effect: row.live_effect, rules: row.live_rules },
    shadow: { effect: row.shadow_effect, rules: row.shadow_rules },
    count: Number(row.count),
    examples: row.examples,
    firstAt: row.first_at.toISOString(),
    lastAt: row.last_at.toISOString(),
  }));
}

interface CountsRow {
  readonly candidate: Digest;
  readonly baseline: Digest;
  readonly evaluated: string;
  readonly diverged: string;
  readonly errors: string;
  readonly unlisted: string;
  readonly dropped: string;
  readonly total_ms: number;
  readonly max_ms: number;
}

/** Of the policy that is in shadow now, or of another; beside each active policy, the latest first. */
export async function shadowCounts(database: Database, candidate?: Digest): Promise<readonly ShadowCounts[]> {
  const rows = await database.rows({
    name: 'policy_shadow_counts',
    query: sql<CountsRow>`
      select * from ${database.table('policy_shadow_counts')}
      where candidate = coalesce(${candidate ?? null}, (select digest from ${database.table('policy_states')} where state = 'shadow'))
      order by updated_at desc`,
  });
  return rows.map((row) => ({
    candidate: row.candidate,
    baseline: row.baseline,
    evaluated: Number(row.evaluated),
    diverged: Number(row.diverged),
    errors: Number(row.errors),
    unlisted: Number(row.unlisted),
    dropped: Number(row.dropped),
    meanMs: Number(row.evaluated) === 0 ? 0 : row.total_ms / Number(row.evaluated),
    maxMs: row.max_ms,
  }));
}
