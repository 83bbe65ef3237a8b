/** The decision of policy and limits together: pure, so that a worker and a backtest rule alike. */
import type { Decision, Facts } from '../action/decision.js';
import type { Problem } from '../action/errors.js';
import type { HoldRequest, LimitReading } from '../action/limits.js';
import type { Policy } from './compile.js';
import { evaluate } from './evaluate.js';
import { atLimits } from './limits/at-limits.js';
import { figuresOf } from './limits/figures.js';
import type { AtLimits, Measured, ResolvedLimits } from './limits/resolved.js';

export interface Ruling {
  readonly facts: Facts;
  readonly decision: Decision;
  /** The field, expectation and fix that go with the decision's code when it denies. */
  readonly problem?: Problem;
  /** Set when the action may wait for room. */
  readonly queue?: Extract<AtLimits, { kind: 'queue' }>;
  /** The holds to place, after people have approved where the decision requires it. */
  readonly holds: readonly HoldRequest[];
  /** The amounts that the limits found in the input. */
  readonly measured: readonly Measured[];
}

/**
 * Evaluates policy on the facts and the figures of the limits. The limits may stop what policy allows.
 *
 * @param honourable throws when the tool cannot honour the constraints of a decision that does not deny
 */
export function ruleOnLimits(
  policy: Policy,
  baseFacts: Facts,
  resolved: ResolvedLimits,
  readings: readonly LimitReading[],
  honourable: (constraints: Decision['constraints']) => void = () => {},
): Ruling {
  const facts: Facts = { ...baseFacts, limits: [...resolved.depths, ...figuresOf(resolved.limits, readings)] };
  const decision = evaluate(policy, facts);
  const { measured } = resolved;
  if (decision.effect === 'deny') return { facts, decision, holds: [], measured };
  honourable(decision.constraints);
  if (resolved.exceeded.length > 0) {
    const reason = resolved.exceeded.map((violation) => violation.reason).join('; ');
    return {
      facts,
      decision: deniedAtLimit(decision, 'LIMIT_EXCEEDED', reason, resolved.exceeded),
      holds: [],
      measured,
    };
  }
  const verdict = atLimits(resolved.limits, readings, facts);
  const holds = resolved.limits.map(({ demand }): HoldRequest => demand);
  switch (verdict.kind) {
    case 'fits':
      return { facts, decision, holds, measured };
    case 'queue':
      return { facts, decision, queue: verdict, holds: [], measured };
    case 'deny': {
      const { kind: _kind, code, reason, violations, retryAfterMs: _retry, ...problem } = verdict;
      return { facts, decision: deniedAtLimit(decision, code, reason, violations), problem, holds: [], measured };
    }
    case 'approve':
      return {
        facts,
        decision: requireApproval(decision, verdict.requirements),
        holds: holds.map((demand) => (verdict.over.includes(demand.limit) ? { ...demand, over: true } : demand)),
        measured,
      };
  }
}

/** The decision when a limit leaves no room and the action may not wait for any. */
export function deniedAtLimit(
  decision: Decision,
  code: 'LIMIT_EXCEEDED' | 'BREAKER_OPEN',
  reason: string,
  violations: Decision['violations'] = [],
): Decision {
  return {
    ...decision,
    effect: 'deny',
    code,
    reason,
    violations: [...decision.violations, ...violations],
    requirements: [],
  };
}

function requireApproval(decision: Decision, requirements: Decision['requirements']): Decision {
  const reasons = [
    ...(decision.effect === 'allow' ? [] : [decision.reason]),
    ...requirements.map(({ reason }) => reason),
  ];
  return {
    ...decision,
    effect: 'require_approval',
    reason: reasons.join('; '),
    requirements: [...decision.requirements, ...requirements],
  };
}
