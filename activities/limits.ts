/** Applies limits to an action: what they decide before it is granted, and how its holds are settled when it has ended. */
import type { Decision, Facts } from '../src/action/decision.js';
import { asCountersignError } from '../src/action/errors.js';
import type { LimitReading } from '../src/action/limits.js';
import {
  activePolicy,
  anyLimit,
  compilePolicy,
  heldInAdvance,
  resolveLimits,
  ruleOnLimits,
  settledAmounts,
  storedBundle,
  type LimitedProposal,
  type Policy,
  type ReadHistory,
  type ResolvedLimits,
  type Ruling,
} from '../src/policy/index.js';
import type { Json } from '../src/action/json.js';
import type { Dependencies } from './deps.js';
import { assertHonourable } from './constraints.js';
import type { Tool } from '../src/tools/tool.js';
import type { Authentic } from './authenticate.js';

/** The part of the proposal that limits and history facts read. */
export function limitedProposal({ proposal: { input, traceId } }: Pick<Authentic, 'proposal'>): LimitedProposal {
  return { input, ...(traceId === undefined ? {} : { traceId }) };
}

/** The limits that apply to the action; undefined when none does. @throws CountersignError POLICY_ERROR */
export function applicableLimits(policy: Policy, facts: Facts, authentic: Authentic): ResolvedLimits | undefined {
  const resolved = resolveLimits(policy, facts, limitedProposal(authentic), authentic.authority);
  return anyLimit(resolved) ? resolved : undefined;
}

/**
 * Evaluates policy on the facts, the figures of the limits and what earlier actions came to. The limits may stop what policy allows.
 *
 * @throws CountersignError CONSTRAINT_UNSUPPORTED
 */
export function rule(
  policy: Policy,
  baseFacts: Facts,
  tool: Tool,
  resolved: ResolvedLimits,
  readings: readonly LimitReading[],
  history?: ReadHistory,
): Ruling {
  const honourable = (constraints: Decision['constraints']): void => assertHonourable(constraints, tool);
  return ruleOnLimits(policy, baseFacts, resolved, readings, honourable, history);
}

/** The amounts that the effect really spent. Undefined when they cannot be determined: then what was held counts as spent. */
export async function spentBy(
  authentic: Authentic,
  { facts, decision }: { readonly facts: Facts; readonly decision: Decision },
  result: Json,
  deps: Dependencies,
): Promise<Readonly<Record<string, number>> | undefined> {
  if (facts.limits === undefined) return undefined;
  try {
    const policy = await policyOf(decision, deps);
    const resolved = applicableLimits(policy, facts, authentic);
    if (resolved === undefined) return undefined;
    return settledAmounts([...resolved.limits, ...heldInAdvance(facts.limits, resolved.measured)], result);
  } catch (thrown) {
    // The step is retried while the ledger is unavailable. An expression that fails on this result would fail again.
    const error = asCountersignError(thrown);
    if (error.retryable) throw error;
    return undefined;
  }
}

/** The policy that made the decision, even when another one is active now. */
async function policyOf({ policyDigest }: Decision, { policy, ledger }: Dependencies): Promise<Policy> {
  // An effect that was made is settled also on a worker on which no policy is active.
  const current = activePolicy(policy);
  if (current?.digest === policyDigest) return current;
  return compilePolicy(await storedBundle(policyDigest, (digest) => ledger.content.getPolicy(digest)));
}
