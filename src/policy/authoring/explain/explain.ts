/** Explains one decision: what each rule that can apply says, which of them determined it, and what would change it. */
import type { Decision, Facts } from '../../../action/decision.js';
import type { HistoryFigure } from '../../../action/history.js';
import type { LimitFigure } from '../../../action/limits.js';
import { asCountersignError } from '../../../action/errors.js';
import { locationText } from '../../cedar.js';
import type { Policy } from '../../compile.js';
import { evaluate } from '../../evaluate.js';
import type { CedarRequest } from '../../request.js';
import type { Rule } from '../../rules.js';
import { counterfactuals, type Counterfactual } from './changes.js';

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
  /** Those whose scope and first conditions fit the action, in the order of the bundle. */
  readonly rules: readonly ExplainedRule[];
  /** How many rules are for other actions, tools, agents, roles or targets. */
  readonly elsewhere: number;
  /** Figures of the limits that the action meets, as they were given. */
  readonly limits: readonly LimitFigure[];
  /** What earlier actions came to, as it was given. */
  readonly history: readonly HistoryFigure[];
  readonly changes: readonly Counterfactual[];
}

export function explain(policy: Policy, facts: Facts): Explanation {
  const decision = evaluate(policy, facts);
  const { rules, elsewhere } = explainedRules(policy, facts, decision);
  const { limits = [], history = [] } = facts;
  return { decision, rules, elsewhere, limits, history, changes: counterfactuals(policy, facts, decision) };
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
