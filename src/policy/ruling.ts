/** The decision of policy and limits together: pure, so that a worker and a backtest rule alike. */
import type { Decision, Facts } from '../action/decision.js';
import type { Problem } from '../action/errors.js';
import type { HistoryClaim } from '../action/history.js';
import type { HoldRequest, LimitReading } from '../action/limits.js';
import type { Policy } from './compile.js';
import { evaluate } from './evaluate.js';
import { awaited, historyClaim, historyFigure, type AwaitedActions, type ReadHistory } from './history/index.js';
import { atLimits } from './limits/at-limits.js';
import { figuresOf } from './limits/figures.js';
import type { AtLimits, Measured, ResolvedLimits } from './limits/resolved.js';

/** What policy and limits say of one action, and what is to be held if it goes on. */
export interface Ruling {
  readonly facts: Facts;
  readonly decision: Decision;
  /** The field, expectation and fix that go with the decision's code when it denies. */
  readonly problem?: Problem;
  /** Set when the action may wait for room, or for what must come before it. */
  readonly queue?: Waiting;
  /** The holds to place, after people have approved where the decision requires it. */
  readonly holds: readonly HoldRequest[];
  /** The amounts that the limits found in the input. */
  readonly measured: readonly Measured[];
  /** What the decision relied on of earlier actions, and what it leaves for later ones. Absent without any. */
  readonly history?: HistoryClaim;
}

export type Waiting = Extract<AtLimits, { kind: 'queue' }> & {
  /** The decision when it has waited in vain for what must come before it. Absent: it waits for room. */
  readonly inVain?: Decision;
};

/**
 * Evaluates policy on the facts and the figures of the limits. The limits may stop what policy allows.
 *
 * @param honourable throws when the tool cannot honour the constraints of a decision that does not deny
 * @param history absent when the policy has no history facts
 */
export function ruleOnLimits(
  policy: Policy,
  baseFacts: Facts,
  resolved: ResolvedLimits,
  readings: readonly LimitReading[],
  honourable: (constraints: Decision['constraints']) => void = () => {},
  history?: ReadHistory,
): Ruling {
  const facts: Facts = {
    ...baseFacts,
    ...(anyLimit(resolved) ? { limits: [...resolved.depths, ...figuresOf(resolved.limits, readings)] } : {}),
    ...(history === undefined ? {} : { history: history.readings.map(historyFigure) }),
  };
  const made = evaluate(policy, facts);
  const { measured } = resolved;
  const before = made.effect === 'deny' ? awaited(policy, facts) : undefined;
  const decision = before?.decision ?? made;
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
  if (verdict.kind === 'deny') {
    const { kind: _kind, code, reason, violations, retryAfterMs: _retry, ...problem } = verdict;
    return { facts, decision: deniedAtLimit(decision, code, reason, violations), problem, holds: [], measured };
  }
  if (before !== undefined) return { facts, decision, queue: waitingFor(before, made, verdict), holds: [], measured };
  if (verdict.kind === 'queue') return { facts, decision, queue: verdict, holds: [], measured };
  const claim = history && historyClaim(policy, facts, history);
  const rest = { facts, measured, ...(claim === undefined ? {} : { history: claim }) };
  const holds = resolved.limits.map(({ demand }): HoldRequest => demand);
  if (verdict.kind === 'fits') return { ...rest, decision, holds };
  return {
    ...rest,
    decision: requireApproval(decision, verdict.requirements),
    holds: holds.map((demand) => (verdict.over.includes(demand.limit) ? { ...demand, over: true } : demand)),
  };
}

/** Whether any limit applies to the action. */
export function anyLimit({ limits, exceeded, depths }: ResolvedLimits): boolean {
  return limits.length + exceeded.length + depths.length > 0;
}

/** It waits for what must come before it, and if limits let it only wait too, for room. */
function waitingFor({ reason, maxWaitMs, retryAfterMs }: AwaitedActions, inVain: Decision, verdict: AtLimits): Waiting {
  if (verdict.kind !== 'queue') return { kind: 'queue', reason, maxWaitMs, retryAfterMs, inVain };
  return {
    kind: 'queue',
    reason: `${reason}; ${verdict.reason}`,
    maxWaitMs: Math.min(maxWaitMs, verdict.maxWaitMs),
    retryAfterMs: Math.max(retryAfterMs, verdict.retryAfterMs),
    inVain,
  };
}

/** The decision when a limit leaves no room and the action may not wait for any. @param violations the limits that leave none, default none */
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
