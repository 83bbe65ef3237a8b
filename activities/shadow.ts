/** Evaluates the policy in shadow on the facts of a live decision. It changes nothing for anybody, and the decision never waits for it. */
import type { Decision } from '../src/action/decision.js';
import { asCountersignError } from '../src/action/errors.js';
import { canonical } from '../src/action/json.js';
import type { LimitDemand, LimitReading } from '../src/action/limits.js';
import type { DivergenceKind } from '../src/action/policy-rollout.js';
import { activePolicy, type Policy, type Ruling } from '../src/policy/index.js';
import type { Authentic, ToolInput } from './authenticate.js';
import type { Dependencies, ShadowResult } from './deps.js';

/** Where the counters of limits stand for an action. */
export type ReadLimits = (
  tenant: string,
  actionId: string,
  demands: readonly LimitDemand[],
) => Promise<readonly LimitReading[]>;

/** Makes the ruling of a policy on an action, as `enforce` does. */
export type MakeRuling = (policy: Policy, readLimits: ReadLimits) => Promise<Ruling>;

/** Has the policy in shadow evaluated later, where there is one and this worker records what it finds. */
export function compareInShadow(
  authentic: Authentic,
  { tool }: Pick<ToolInput, 'tool'>,
  live: Ruling,
  rule: MakeRuling,
  { policy, divergences }: Pick<Dependencies, 'policy' | 'divergences'>,
): void {
  const candidate = policy.shadow?.();
  const active = activePolicy(policy);
  if (candidate === undefined || active === undefined || divergences === undefined) return;
  const { limits } = divergences;
  const of = { candidate: candidate.digest, baseline: live.decision.policyDigest };
  const who = { tenant: authentic.agent.tenant, agent: authentic.agent.id, tool: tool.name };
  const { actionId } = authentic.proposal;
  const compared = limits.expect(who.tenant, actionId);
  const compare = async (): Promise<ShadowResult | undefined> => {
    const result = await ruled(() => rule(candidate, (...asked) => limits.read({ candidate, active }, ...asked)));
    if ('ruling' in result && passes(live) && passes(result.ruling)) {
      limits.hold(who.tenant, actionId, result.ruling.holds);
    }
    compared();
    const kind = 'error' in result ? 'error' : divergenceOf(live, result.ruling);
    if (kind === undefined) return undefined;
    const shadow = 'error' in result ? { effect: 'error', rules: [], reason: result.error } : sideOf(result.ruling);
    return { ...who, kind, live: sideOf(live), shadow, actionId };
  };
  if (!divergences.later(of, compare)) compared();
}

type Ruled = { readonly ruling: Ruling } | { readonly error: string };

async function ruled(rule: () => Promise<Ruling>): Promise<Ruled> {
  try {
    return { ruling: await rule() };
  } catch (thrown) {
    const { code, message } = asCountersignError(thrown);
    return { error: `${code}: ${message}` };
  }
}

/** It goes on to its effect, or does when people have said yes: then it is enforced again. */
function passes({ decision, queue }: Ruling): boolean {
  return decision.effect === 'allow' && queue === undefined;
}

function sideOf({ decision, queue }: Ruling): ShadowResult['live'] {
  return {
    effect: queue === undefined ? decision.effect : 'queue',
    rules: [...decision.policies].toSorted(),
    reason: decision.reason,
  };
}

/** The first thing in which they differ, the weightiest first. */
function divergenceOf(live: Ruling, shadow: Ruling): DivergenceKind | undefined {
  if (sideOf(live).effect !== sideOf(shadow).effect) return 'effect';
  if (asked(live.decision) !== asked(shadow.decision)) return 'requirements';
  return constrained(live.decision) === constrained(shadow.decision) ? undefined : 'constraints';
}

/** What is asked of people, without the names and words of the rules that ask it. */
function asked({ requirements }: Decision): string {
  const texts = requirements.map(({ policy: _policy, reason: _reason, ...terms }) => canonical(terms));
  return texts.toSorted().join('\n');
}

function constrained({ constraints }: Decision): string {
  return constraints
    .map(({ name, value }) => canonical([name, value]))
    .toSorted()
    .join('\n');
}
