/** How the ledger knows a set of actions, to be compared with what their systems recorded. */
import { sql } from 'kysely';
import type { OutcomeStatus } from '../../action/outcome.js';
import type { Database } from '../database/database.js';

export interface NamedAction {
  readonly tenant: string;
  readonly actionId: string;
}

/** What the ledger has of one action. */
export interface ActionStanding extends NamedAction {
  /** `open` until the action has an outcome. */
  readonly status: 'open' | OutcomeStatus;
  /** How many of its grants were used and not returned. */
  readonly uses: number;
}

/** Those of the actions that the ledger has. */
export async function standingsOf(
  database: Database,
  actions: readonly NamedAction[],
): Promise<readonly ActionStanding[]> {
  const tenants = actions.map(({ tenant }) => tenant);
  const ids = actions.map(({ actionId }) => actionId);
  const rows = await database.rows({
    name: 'action_standings',
    query: sql<{ tenant: string; action_id: string; status: OutcomeStatus | null; uses: number }>`
      select a.tenant, a.action_id, a.status, a.uses - a.returned as uses
      from unnest(${tenants}::text[], ${ids}::text[]) as asked (tenant, action_id)
      join ${database.table('actions')} as a on a.tenant = asked.tenant and a.action_id = asked.action_id`,
  });
  return rows.map((row) => ({
    tenant: row.tenant,
    actionId: row.action_id,
    status: row.status ?? 'open',
    uses: row.uses,
  }));
}
