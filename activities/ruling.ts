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
import type { ReadLimits } from './shadow.js';

/** What those that come first take, although nothing of it is taken yet. */
export interface Beside {
  /** Of limits. */
  readonly demands: readonly LimitDemand[];
  /** The marks that each of them leaves for later actions. */
  readonly marks: readonly (readonly string[])[];
}

export const NOBODY: Beside = { demands: [], marks: [] };

/** How the figures that a decision needs are read: of limits, and of earlier actions where the policy speaks of them. */
interface FiguresReader {
  readonly limits: ReadLimits;
  readonly withHistory: Dependencies['ledger']['limits']['readWithHistory'];
}

export function readerOf({ ledger }: Dependencies, readLimits: ReadLimits | undefined): FiguresReader {
  const withHistory: FiguresReader['withHistory'] = (...asked) => ledger.limits.readWithHistory(...asked);
  if (readLimits === undefined) return { limits: (...asked) => ledger.limits.read(...asked), withHistory };
  return {
    limits: readLimits,
    withHistory: async (tenant, actionId, demands, queries) => ({
      limits: await readLimits(tenant, actionId, demands),
      history: (await withHistory(tenant, actionId, [], queries)).history,
    }),
  };
}

export async function rulingOf(
  authentic: Authentic,
  tool: Tool,
  facts: Facts,
  beside: Beside,
  policy: Policy,
  reader: FiguresReader,
): Promise<Ruling> {
  const resolved = applicableLimits(policy, facts, authentic);
  if (policy.history.facts.length > 0) {
    return rulingWithHistory(authentic, tool, facts, resolved ?? NO_LIMITS_APPLY, beside, policy, reader);
  }
  if (resolved === undefined) return { facts, decision: decide(policy, facts, tool), holds: [], measured: [] };
  const { tenant } = authentic.agent;
  const demands = resolved.limits.map(({ demand }) => demand);
  const readings = await reader.limits(tenant, authentic.proposal.actionId, demands);
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
  reader: FiguresReader,
): Promise<Ruling> {
  const { agent, proposal } = authentic;
  const asked = resolveHistory(policy.history, facts, limitedProposal(authentic));
  const demands = resolved.limits.map(({ demand }) => demand);
  const { limits, history } = await reader.withHistory(agent.tenant, proposal.actionId, demands, asked.queries);
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
