/** What policy did lately for one tenant: how often each rule determined a decision, and under which bundles the latest were made. */
import { sql } from 'kysely';
import type { DecisionEffect } from '../../action/decision.js';
import type { Digest } from '../../action/json.js';
import type { UnreceiptedOutcome } from '../../action/outcome.js';
import type { Database } from '../database/database.js';
import { seqAt, type PolicyFigures } from './dashboard.js';

export interface RuleFigures {
  /** Of every rule that determined a decision in the period, those of most decisions first. */
  readonly rules: readonly PolicyFigures[];
  /** How many ended actions were looked at. */
  readonly counted: number;
  /** Whether the period has more of them, earlier than those that were looked at. */
  readonly more: boolean;
}

/** A bundle that decisions name. */
export interface NamedBundle {
  readonly digest: Digest;
  /** When the latest action that was decided under it ended. RFC 3339 UTC. */
  readonly lastAt: string;
}

/** However many actions a tenant has, a page looks at no more of them. */
const MOST_COUNTED = 100_000;
/** How many of the latest decisions are looked at for the bundles that they name. */
const LATEST = 20;

interface GroupRow {
  readonly policies: readonly string[] | null;
  readonly effect: DecisionEffect | null;
  readonly count: number;
}

/** @param most how many of the latest actions are looked at: what bounds the cost */
export async function ruleFigures(
  database: Database,
  tenant: string,
  from: Date,
  most = MOST_COUNTED,
): Promise<RuleFigures> {
  const [actions, chains] = [database.table('actions'), database.table('chains')];
  const rows = await database.rows<GroupRow & { readonly cut: boolean }>({
    name: 'rule_figures',
    query: sql<GroupRow & { readonly cut: boolean }>`
      with bounds as (
        select early, greatest(early, latest - ${most}::bigint + 1) as first from (
          select ${seqAt(database, tenant, from, 'early')} as early,
            coalesce((select seq from ${chains} where tenant = ${tenant}), 0) as latest
        ) as found
      )
      select policies, effect, count(*)::int as count, bool_or((select first > early from bounds)) as cut
      from ${actions}
      where tenant = ${tenant} and receipt_seq >= (select first from bounds) and ended_at >= ${from}
      group by policies, effect`,
  });
  const rules = new Map<string, { policy: string; total: number } & Record<DecisionEffect, number>>();
  for (const { policies, effect, count } of rows) {
    if (effect === null) continue;
    for (const policy of new Set(policies)) {
      const figures = rules.get(policy) ?? { policy, total: 0, allow: 0, deny: 0, require_approval: 0 };
      rules.set(policy, figures);
      figures.total += count;
      figures[effect] += count;
    }
  }
  return {
    rules: [...rules.values()].sort((a, b) => b.total - a.total || (a.policy < b.policy ? -1 : 1)),
    counted: rows.reduce((sum, { count }) => sum + count, 0),
    more: rows.some(({ cut }) => cut),
  };
}

/** The latest first. Outcomes are read whole: one with \u0000 in it is JSON that Postgres cannot look into. */
export async function bundlesInUse(database: Database, tenant: string): Promise<readonly NamedBundle[]> {
  const rows = await database.rows({
    name: 'bundles_in_use',
    query: sql<{ outcome: UnreceiptedOutcome; ended_at: Date }>`
      select outcome, ended_at from ${database.table('actions')}
      where tenant = ${tenant} and receipt_seq is not null
      order by receipt_seq desc
      limit ${sql.lit(LATEST)}`,
  });
  const found = new Map<Digest, NamedBundle>();
  for (const { outcome, ended_at } of rows) {
    const digest = outcome.decision?.policyDigest;
    if (digest !== undefined && !found.has(digest)) found.set(digest, { digest, lastAt: ended_at.toISOString() });
  }
  return [...found.values()];
}

/** Whether the ledger keeps no other tenant's actions. */
export async function isOnlyTenant(database: Database, tenant: string): Promise<boolean> {
  const rows = await database.rows({
    name: 'other_tenants',
    query: sql`select 1 from ${database.table('chains')} where tenant <> ${tenant} limit 1`,
  });
  return rows.length === 0;
}
