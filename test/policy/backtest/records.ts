/** Records of decisions, written by hand, for tests of a backtest's parts. */
import type { DecisionRecord, RecordedHold } from '../../../src/action/decision-record.js';
import type { Decision } from '../../../src/action/decision.js';
import { digestText } from '../../../src/action/json.js';
import { factsOf } from '../facts.js';

export const DIGEST = digestText('x');

export const DECISION: Decision = {
  effect: 'allow',
  reason: 'r',
  policies: ['p'],
  constraints: [],
  violations: [],
  requirements: [],
  errors: [],
  policyDigest: DIGEST,
};
export const REQUIREMENT = { policy: 'ask', reason: 'r', roles: ['dba'], quorum: 1, ttlSeconds: 60 };

export function recordOf(more: Partial<DecisionRecord> = {}): DecisionRecord {
  return {
    v: 1,
    tenant: 'acme',
    actionId: 'a',
    proposalDigest: DIGEST,
    facts: factsOf(),
    decision: DECISION,
    approvals: [],
    status: 'success',
    attempted: true,
    holds: [],
    decidedAt: '2025-01-01T12:00:00.000Z',
    endedAt: '2025-01-01T12:00:09.000Z',
    receipt: { seq: 1, hash: DIGEST },
    ...more,
  };
}
export const holdOf = (more: Partial<RecordedHold> = {}): RecordedHold => ({
  limit: 'l',
  key: 'k',
  kind: 'budget',
  amount: 5,
  status: 'consumed',
  placedAt: '2025-01-01T12:00:01.000Z',
  settledAt: '2025-01-01T12:00:08.000Z',
  ...more,
});
