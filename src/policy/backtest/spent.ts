/** What recorded actions spent, by the limits of the policy that they were decided under. */
import type { DecisionRecord } from '../../action/decision-record.js';
import type { Json } from '../../action/json.js';
import type { Policy } from '../compile.js';
import { heldInAdvance, settledAmounts } from '../limits/index.js';
import { ask, type DecidedRecord } from './redecide.js';

/** The amounts that a result says were spent, by limit. Undefined where the policy can ask nothing of its limits for the record. */
export function spentUnder(
  policy: Policy,
  record: DecisionRecord,
  result: Json,
): Readonly<Record<string, number>> | undefined {
  const { facts } = record;
  if (facts === undefined) return undefined;
  const asked = ask(policy, record as DecidedRecord, true);
  if (asked.kind !== 'asked') return undefined;
  const { limits, measured } = asked.resolved;
  return settledAmounts([...limits, ...heldInAdvance(facts.limits ?? [], measured)], result);
}
