/** Records for tests of backtests, decided under a policy by its own rules, with limits that count as the ledger does. */
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import type { Facts } from '../../../src/action/decision.js';
import { digest, digestText, type JsonObject } from '../../../src/action/json.js';
import { DISPOSITIONS } from '../../../src/action/limits.js';
import type { ApprovalRecord, OutcomeStatus } from '../../../src/action/outcome.js';
import type { Policy } from '../../../src/policy/index.js';
import { resolveLimits, ruleOnLimits, evaluate } from '../../../src/policy/index.js';
import { Counters } from '../../../src/policy/backtest/counters.js';
import { microsecondsOf } from '../../../src/policy/backtest/windows.js';
import { factsOf, type FactsGiven } from '../facts.js';

export interface Scene extends FactsGiven {
  readonly id: string;
  /** Seconds since noon. */
  readonly at: number;
  readonly input?: JsonObject;
  readonly approvals?: readonly Partial<ApprovalRecord>[];
  /** How it ends where it goes ahead. */
  readonly status?: OutcomeStatus;
}

const NOON = Date.parse('2025-01-01T12:00:00.000Z');
const timeOf = (seconds: number): string => new Date(NOON + seconds * 1000).toISOString();

export function approval(
  approver: string,
  roles: readonly string[],
  verdict: ApprovalRecord['verdict'] = 'approve',
): ApprovalRecord {
  return { approver, roles, verdict, at: timeOf(0), digest: digestText(approver) };
}

/** What comes of the scenes, in their order: each has ended before the next is decided. */
export function recorded(policy: Policy, scenes: readonly Scene[]): DecisionRecord[] {
  const counters = new Counters();
  return scenes.map((scene, index): DecisionRecord => {
    const { id, at, input = {}, approvals = [], status = 'success' } = scene;
    const proposal = { actionId: id, tool: 'shop-db', input };
    const base = factsOf({ ...scene, now: timeOf(at) });
    const declared = policy.declaredInput(base.actionType, input);
    const facts: Facts = declared === undefined ? base : { ...base, input: declared };
    const { tenant } = facts.agent;
    const resolved = resolveLimits(policy, facts, { input });
    const now = microsecondsOf(facts.now);
    const readings = resolved.limits.map(({ demand }) => counters.read(tenant, id, demand, now));
    const ruling =
      resolved.limits.length === 0
        ? { facts, decision: evaluate(policy, facts) }
        : ruleOnLimits(policy, facts, resolved, readings);
    const given = approvals.map((one) => ({ ...approval('ann', ['dba']), ...one }));
    const yes = given.length > 0 && given.every(({ verdict }) => verdict === 'approve');
    const goes = ruling.decision.effect === 'allow' || (ruling.decision.effect === 'require_approval' && yes);
    const ended = goes ? status : 'denied';
    const [placedAt, settledAt] = [timeOf(at + 0.1), timeOf(at + 0.5)];
    const disposition = DISPOSITIONS[ended];
    if (goes) {
      for (const { demand } of resolved.limits) {
        counters.place(tenant, id, demand, microsecondsOf(placedAt));
        counters.settle(tenant, id, demand, { disposition }, microsecondsOf(settledAt));
      }
    }
    return {
      v: 1,
      tenant,
      actionId: id,
      proposalDigest: digest(proposal),
      proposal,
      facts: ruling.facts,
      decision: ruling.decision,
      approvals: given,
      status: ended,
      attempted: goes,
      holds: goes
        ? resolved.limits.map(({ demand }) => ({
            limit: demand.limit,
            key: demand.key,
            kind: demand.kind,
            amount: 'amount' in demand ? demand.amount : 1,
            status: disposition === 'release' ? 'released' : 'consumed',
            placedAt,
            settledAt,
          }))
        : [],
      decidedAt: facts.now,
      endedAt: settledAt,
      receipt: { seq: index + 1, hash: digestText(id) },
    };
  });
}
