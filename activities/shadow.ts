/** Evaluates the policy in shadow on the facts of a live decision. It changes nothing for anybody, and the decision never waits for it. */
import type { Decision, Facts } from '../src/action/decision.js';
import { asCountersignError } from '../src/action/errors.js';
import { canonical } from '../src/action/json.js';
import type { HistoryClaim } from '../src/action/history.js';
import type { DivergenceKind } from '../src/action/policy-rollout.js';
import { resolveHistory, type Policy, type Ruling } from '../src/policy/index.js';
import type { Authentic, ToolInput } from './authenticate.js';
import type { Dependencies, ShadowResult } from './deps.js';
import { limitedProposal } from './limits.js';

/** Makes the ruling of a policy on an action, as `enforce` does. */
export type MakeRuling = (policy: Policy) => Promise<Ruling>;

/** Has the policy in shadow evaluated later, where there is one and this worker records what it finds. */
export function compareInShadow(
  authentic: Authentic,
  { tool }: Pick<ToolInput, 'tool'>,
  live: Ruling,
  rule: MakeRuling,
  { policy, divergences }: Pick<Dependencies, 'policy' | 'divergences'>,
): void {
  const candidate = policy.shadow?.();
  if (candidate === undefined || divergences === undefined) return;
  const of = { candidate: candidate.digest, baseline: live.decision.policyDigest };
  const who = { tenant: authentic.agent.tenant, agent: authentic.agent.id, tool: tool.name };
  const { actionId } = authentic.proposal;
  divergences.later(of, async () => {
    const result = await ruled(candidate, rule);
    const kind = 'error' in result ? 'error' : divergenceOf(live, result.ruling);
    if (kind === undefined) return undefined;
    const shadow = 'error' in result ? { effect: 'error', rules: [], reason: result.error } : sideOf(result.ruling);
    return { ...who, kind, live: sideOf(live), shadow, actionId };
  });
}

/** Also leaves the marks that the policy in shadow would look for: once it is active, it knows what came before. */
export function withMarksForShadow(
  claim: HistoryClaim | undefined,
  facts: Facts,
  authentic: Pick<Authentic, 'proposal'>,
  { policy }: Pick<Dependencies, 'policy'>,
): HistoryClaim | undefined {
  const history = policy.shadow?.()?.history;
  if (history === undefined || history.facts.length === 0) return claim;
  let marks: readonly string[];
  try {
    ({ marks } = resolveHistory(history, facts, limitedProposal(authentic)));
  } catch {
    // Too many of them. The policy in shadow will say so of the action itself.
    return claim;
  }
  if (marks.length === 0) return claim;
  return { checks: claim?.checks ?? [], marks: [...new Set([...(claim?.marks ?? []), ...marks])].toSorted() };
}

type Ruled = { readonly ruling: Ruling } | { readonly error: string };

async function ruled(candidate: Policy, rule: MakeRuling): Promise<Ruled> {
  try {
    return { ruling: await rule(candidate) };
  } catch (thrown) {
    const { code, message } = asCountersignError(thrown);
    return { error: `${code}: ${message}` };
  }
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
