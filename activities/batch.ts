/** Several proposals that are decided together, by dry runs: each beside what those before it would take and leave. */
import type { BatchDecision, BatchedDecision } from '../src/action/batch.js';
import { CountersignError } from '../src/action/errors.js';
import type { LimitDemand } from '../src/action/limits.js';
import { isProposedUnder } from '../src/action/principal.js';
import { actionState } from './compensate.js';
import type { ActionRequest, BatchedFound, DryRunRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { decideBeside, denied } from './dry-run.js';

/** Of the actions that nobody has begun, undefined: they are to be decided. */
export async function begunBefore(
  tenant: string,
  agent: string,
  actions: readonly ActionRequest[],
  deps: Dependencies,
): Promise<readonly (BatchedDecision | undefined)[]> {
  return await Promise.all(actions.map((action) => begun(tenant, agent, action, deps)));
}

async function begun(
  tenant: string,
  agent: string,
  { proposal, digest }: ActionRequest,
  deps: Dependencies,
): Promise<BatchedDecision | undefined> {
  const { actionId } = proposal;
  const state = await actionState(tenant, actionId, deps);
  if (state.kind === 'lost') return undefined;
  const known = await deps.ledger.archive.action(tenant, actionId);
  // Of an action that only just runs nothing is recorded yet: whoever asks for its outcome is told of the conflict.
  const recorded = state.kind === 'ended' ? state.outcome.proposalDigest : known?.proposalDigest;
  const by = known?.agent ?? agent;
  if (recorded === undefined || (recorded === digest && isProposedUnder(agent, by))) return { kind: 'begun' };
  const conflict = new CountersignError(
    'ACTION_CONFLICT',
    `Action ${actionId} was proposed before with another tool, input or expectation, or by another agent.`,
    {
      field: 'actionId',
      expected: 'an actionId that was never used, or the same tool, input and expectation again by the same agent',
      fix: 'Use a new actionId for a new action.',
    },
  );
  return { kind: 'decided', decided: denied(proposal, conflict) };
}

/** Decides on all of them, also when one is denied: whoever asked is told of each. */
export async function decideBatch(
  actions: readonly { readonly request: DryRunRequest; readonly found: BatchedFound }[],
  deps: Dependencies,
): Promise<BatchDecision> {
  const decisions: BatchedDecision[] = [];
  const demands: LimitDemand[] = [];
  const marks: (readonly string[])[] = [];
  for (const { request, found } of actions) {
    if (found.kind !== 'seen') {
      decisions.push(found);
      continue;
    }
    const one = await decideBeside({ request, seen: found }, { demands, marks }, deps);
    decisions.push({ kind: 'decided', decided: one.answer });
    demands.push(...one.demands);
    marks.push(one.marks);
  }
  const isDenied = (one: BatchedDecision): boolean => one.kind === 'decided' && one.decided.effect === 'deny';
  return { begun: !decisions.some(isDenied), actions: decisions };
}
