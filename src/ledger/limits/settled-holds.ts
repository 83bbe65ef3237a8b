/** What becomes of an action's holds when it is settled. */
import { sql, type RawBuilder } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import { assertJson } from '../../action/json.js';
import { DISPOSITIONS, type HoldSettlement } from '../../action/limits.js';
import type { OutcomeStatus } from '../../action/outcome.js';
import type { Database } from '../database/database.js';
import { atLeast } from './demands.js';

/** Ends the action's holds, for each row of `source` (one or none). @throws CountersignError INVALID_INPUT */
export function settledHolds(
  database: Database,
  { tenant, actionId, outcome, holds }: SettledAction,
  source: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { disposition, result, amounts = {} } = holds ?? { disposition: DISPOSITIONS[outcome.status] };
  if (disposition === 'keep' && outcome.status !== 'unknown') {
    throw new CountersignError('INVALID_INPUT', 'Holds are kept only while it is not known what happened.', {
      field: 'holds.disposition',
      expected: 'consume or release',
      fix: `Nobody could end them later: the outcome is ${outcome.status}.`,
    });
  }
  for (const [limit, amount] of Object.entries(amounts)) atLeast(0, amount, `holds.amounts.${limit}`);
  assertJson(amounts, 'holds.amounts');
  return sql`
    select ${sql.id(database.schema, 'settle_holds')}(${tenant}, ${actionId}, ${disposition}, ${result ?? null}, ${JSON.stringify(amounts)}::jsonb) as ended
    from ${source}`;
}

export interface SettledAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly outcome: { readonly status: OutcomeStatus };
  readonly holds?: HoldSettlement;
}
