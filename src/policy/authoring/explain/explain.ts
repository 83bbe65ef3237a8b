/** Explains one decision: what each rule that can apply says, which of them determined it, and what would change it. */
import type { Decision, Facts } from '../../../action/decision.js';
import type { LimitFigure } from '../../../action/limits.js';
import { asCountersignError, CountersignError } from '../../../action/errors.js';
import { locationText } from '../../cedar.js';
import type { Policy } from '../../compile.js';
import type { CedarRequest } from '../../request.js';
import type { Rule } from '../../rules.js';
import { counterfactuals, type Counterfactual } from './changes.js';
import { judgeOf, type Judge, type JudgedEffect } from './judge.js';

/** The most decisions of one search for what would change the decision, unless it is told. */
const MOST_DECISIONS = 3000;

export interface ExplainedRule {
  readonly id: string;
  readonly at: string;
  readonly kind: 'permit' | 'forbid' | 'soft forbid';
  /** Whether it matches the action by itself; `error` when it cannot be evaluated, which denies the action. */
  readonly matches: 'yes' | 'no' | 'error';
  /** Whether the decision names it. */
  readonly determined: boolean;
  readonly error?: string;
}

export interface Explanation {
  readonly decision: Decision;
  /** The decision's, or `queue` of what waits for room; then with the reason of the limits. */
  readonly effect: JudgedEffect;
  readonly reason: string;
  /** Those whose scope and first conditions fit the action, in the order of the bundle. */
  readonly rules: readonly ExplainedRule[];
  /** How many rules are for other actions, tools, agents, roles or targets. */
  readonly elsewhere: number;
  /** Figures of the limits that the action meets. */
  readonly limits: readonly LimitFigure[];
  readonly changes: readonly Counterfactual[];
  /** Whether there may be more changes than are listed. */
  readonly cut: boolean;
}

export interface ExplanationOptions {
  /** Who decides. Default: the policy alone, for which figures of limits are facts. */
  readonly judge?: Judge;
  /** How often is decided, at most, to find what would change the decision. Default 3,000. */
  readonly mostDecisions?: number;
}

/** @throws CountersignError POLICY_ERROR when the judge does not know figures of the facts themselves */
export function explain(
  policy: Policy,
  facts: Facts,
  { judge = judgeOf(policy), mostDecisions = MOST_DECISIONS }: ExplanationOptions = {},
): Explanation {
  const judged = judge(facts);
  if (judged === undefined) {
    throw new CountersignError('POLICY_ERROR', 'Figures of limits that the action falls under are not known.', {
      field: 'facts.limits',
      expected: 'a figure of every counter',
      fix: 'Give them, or read them from the ledger.',
    });
  }
  const { decision, effect, reason } = judged;
  return {
    decision,
    effect,
    reason,
    ...explainedRules(policy, judged.facts, decision),
    limits: judged.facts.limits ?? [],
    ...counterfactuals(policy, facts, judged, judge, mostDecisions),
  };
}

function explainedRules(policy: Policy, facts: Facts, decision: Decision): Pick<Explanation, 'rules' | 'elsewhere'> {
  let request: CedarRequest;
  try {
    request = policy.request(facts);
  } catch (error) {
    // No rule was evaluated: the decision says why.
    asCountersignError(error);
    return { rules: [], elsewhere: policy.rules.length };
  }
  const slice = policy.slice(request);
  const rules = slice.map((rule) => explained(policy, request, rule, decision));
  return { rules, elsewhere: policy.rules.length - slice.length };
}

function explained(policy: Policy, request: CedarRequest, rule: Rule, decision: Decision): ExplainedRule {
  const { id, effect, approvals, place } = rule;
  const { diagnostics } = policy.askOf(request, [rule]);
  const [error] = diagnostics.errors;
  const matches = error !== undefined ? 'error' : diagnostics.reason.includes(id) ? 'yes' : 'no';
  return {
    id,
    at: locationText(place),
    kind: effect === 'forbid' && approvals !== undefined ? 'soft forbid' : effect,
    matches,
    determined: decision.policies.includes(id) || decision.errors.includes(id),
    ...(error === undefined ? {} : { error: error.error.message }),
  };
}
