/** What policy, limits and what earlier actions came to say of an action now, read from the ledger in one round trip. */
import type { Decision, Facts } from '../src/action/decision.js';
import type { LimitDemand } from '../src/action/limits.js';
import {
  besideOthers,
  evaluate,
  historyBesideOthers,
  NO_LIMITS_APPLY,
  resolveHistory,
  type Policy,
  type ResolvedLimits,
  type Ruling,
} from '../src/policy/index.js';
import type { Tool } from '../src/tools/tool.js';
import type { Authentic } from './authenticate.js';
import { assertHonourable } from './constraints.js';
import type { Dependencies } from './deps.js';
import { applicableLimits, limitedProposal, rule } from './limits.js';

/** What those that come first take, although nothing of it is taken yet. */
export interface Beside {
  /** Of limits. */
  readonly demands: readonly LimitDemand[];
  /** The marks that each of them leaves for later actions. */
  readonly marks: readonly (readonly string[])[];
}

export const NOBODY: Beside = { demands: [], marks: [] };

export async function rulingOf(
  authentic: Authentic,
  tool: Tool,
  facts: Facts,
  beside: Beside,
  policy: Policy,
  { ledger }: Dependencies,
): Promise<Ruling> {
  const resolved = applicableLimits(policy, facts, authentic);
  if (policy.history.facts.length > 0) {
    return rulingWithHistory(authentic, tool, facts, resolved ?? NO_LIMITS_APPLY, beside, policy, ledger);
  }
  if (resolved === undefined) return { facts, decision: decide(policy, facts, tool), holds: [], measured: [] };
  const { tenant } = authentic.agent;
  const demands = resolved.limits.map(({ demand }) => demand);
  const readings = await ledger.limits.read(tenant, authentic.proposal.actionId, demands);
  return rule(policy, facts, tool, resolved, besideOthers(readings, demands, beside.demands));
}

/** The same, with what earlier actions came to: read in the one round trip. */
async function rulingWithHistory(
  authentic: Authentic,
  tool: Tool,
  facts: Facts,
  resolved: ResolvedLimits,
  beside: Beside,
  policy: Policy,
  ledger: Dependencies['ledger'],
): Promise<Ruling> {
  const { agent, proposal } = authentic;
  const asked = resolveHistory(policy.history, facts, limitedProposal(authentic));
  const demands = resolved.limits.map(({ demand }) => demand);
  const { limits, history } = await ledger.limits.readWithHistory(
    agent.tenant,
    proposal.actionId,
    demands,
    asked.queries,
  );
  return rule(policy, facts, tool, resolved, besideOthers(limits, demands, beside.demands), {
    ...asked,
    readings: historyBesideOthers(history, asked.queries, beside.marks),
  });
}

function decide(policy: Policy, facts: Facts, tool: Tool): Decision {
  const decision = evaluate(policy, facts);
  if (decision.effect !== 'deny') assertHonourable(decision.constraints, tool);
  return decision;
}
