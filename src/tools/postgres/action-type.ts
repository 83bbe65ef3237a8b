/** The action types of the operations, and whether a statement returns rows. */
import type { ActionType } from '../../action/decision.js';
import { classify } from './classify.js';
import type { PostgresInput } from './input.js';

export function actionTypeOf(input: PostgresInput): ActionType {
  return input.op === 'sql' ? classify(input.sql).actionType : ACTION_TYPES[input.op];
}

const ACTION_TYPES: Readonly<Record<Exclude<PostgresInput['op'], 'sql'>, ActionType>> = {
  describe: 'READ',
  select: 'READ',
  insert: 'WRITE',
  upsert: 'WRITE',
  update: 'WRITE',
  restore: 'WRITE',
  delete: 'DELETE',
};

/** Whether a statement returns rows that the agent asked for. */
export function returns(input: PostgresInput): boolean {
  if (input.op !== 'sql') return false;
  const statement = classify(input.sql);
  return 'returning' in statement && statement.returning;
}
