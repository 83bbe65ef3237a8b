/** Decides an action with the limits of its policy, on figures that are known: recorded, given, or read before. */
import type { Decision, DecisionEffect, Facts } from '../../../action/decision.js';
import type { LimitDemand } from '../../../action/limits.js';
import type { Authority } from '../../../action/principal.js';
import type { Policy } from '../../compile.js';
import { evaluate, undecidable } from '../../evaluate.js';
import { readingFrom, statesOf, type CounterState } from '../../limits/from-figures.js';
import { resolveLimits } from '../../limits/resolve.js';
import { ruleOnLimits } from '../../ruling.js';

/** `queue`: it is allowed, and waits until its limits have room. */
export type JudgedEffect = DecisionEffect | 'queue';

export interface Judgement {
  readonly effect: JudgedEffect;
  /** The decision's; of what waits, the limits'. */
  readonly reason: string;
  readonly decision: Decision;
  /** With the figures of the limits that it meets, and of its input what the policy declares. */
  readonly facts: Facts;
}

/** Undefined where it cannot be known. */
export type Judge = (facts: Facts) => Judgement | undefined;

/** By the policy alone: figures of limits are facts. */
export function judgeOf(policy: Policy): Judge {
  return (facts) => judgement(evaluate(policy, facts), facts);
}

/** What is known of an action besides its facts, for its limits. */
export interface LimitedAction {
  readonly traceId?: string | undefined;
  /** Default: without caps, and the agents above as the facts have them. */
  readonly authority?: Authority | undefined;
  /** Of the counters that are known. */
  readonly figures: readonly CounterState[];
}

/**
 * By policy and limits. `facts.input` is the whole input that the tool acts on, of which policy sees what it declares. What falls under a
 * counter that is not known is not judged.
 */
export function limitJudgeOf(policy: Policy, action: LimitedAction): Judge {
  return (facts) => {
    const judged = judge(policy, action, facts);
    return 'lacks' in judged ? undefined : judged;
  };
}

/** The counters of the policy's limits whose figures are not known, each with what is asked of it. */
export function lackingFigures(policy: Policy, action: LimitedAction, facts: Facts): readonly LimitDemand[] {
  const judged = judge(policy, action, facts);
  return 'lacks' in judged ? judged.lacks : [];
}

function judge(
  policy: Policy,
  { traceId, authority, figures }: LimitedAction,
  { limits: _limits, input = {}, ...rest }: Facts,
): Judgement | { readonly lacks: readonly LimitDemand[] } {
  let facts: Facts = rest;
  try {
    const declared = policy.declaredInput(rest.actionType, input);
    facts = declared === undefined ? rest : { ...rest, input: declared };
    policy.checkInput(facts);
    const resolved = resolveLimits(policy, facts, { input, traceId }, authority);
    if (resolved.limits.length + resolved.exceeded.length + resolved.depths.length === 0) {
      return judgement(evaluate(policy, facts), facts);
    }
    const demands = resolved.limits.map(({ demand }) => demand);
    const states = statesOf(demands, figures);
    const lacks = demands.filter((_demand, index) => states[index] === undefined);
    if (lacks.length > 0) return { lacks };
    const readings = demands.map((demand, index) => readingFrom(demand, states[index] as CounterState));
    const { facts: full, decision, queue } = ruleOnLimits(policy, facts, resolved, readings);
    return queue === undefined
      ? judgement(decision, full)
      : { effect: 'queue', reason: queue.reason, decision, facts: full };
  } catch (error) {
    return judgement(undecidable(policy, error), facts);
  }
}

function judgement(decision: Decision, facts: Facts): Judgement {
  return { effect: decision.effect, reason: decision.reason, decision, facts };
}
