/** Several proposals that are decided together, by dry runs: each beside what those before it would take and leave. */
import type { BatchDecision, BatchedDecision } from '../src/action/batch.js';
import { actionConflict } from '../src/action/errors-conflict.js';
import type { LimitDemand } from '../src/action/limits.js';
import { proposerOf } from '../src/action/outcome.js';
import { isProposedUnder } from '../src/action/principal.js';
import { actionState } from './compensate.js';
import type { ActionRequest, BatchedFound, DryRunRequest } from './contract.js';
import type { Dependencies } from './deps.js';
import { decideBeside, denied } from './dry-run.js';
import { fromView } from './effect-reports.js';

interface BatchOfActions {
  readonly tenant: string;
  /** Whose batch it is, as they say themselves. Absent in batches that began before it was told. */
  readonly agent: string | undefined;
  readonly actions: readonly ActionRequest[];
}

/** Of the actions that nobody has begun, undefined: they are to be decided. */
export async function begunBefore(
  { actions, ...whose }: BatchOfActions,
  deps: Dependencies,
): Promise<readonly (BatchedDecision | undefined)[]> {
  return await Promise.all(actions.map((action) => begun(whose, action, deps)));
}

async function begun(
  { tenant, agent }: Omit<BatchOfActions, 'actions'>,
  { proposal, digest }: ActionRequest,
  deps: Dependencies,
): Promise<BatchedDecision | undefined> {
  const { actionId } = proposal;
  const state = await actionState(tenant, actionId, deps);
  if (state.kind === 'lost') return undefined;
  const known = await deps.ledger.archive.action(tenant, actionId);
  // Of an action that only just runs nothing is recorded yet: whoever asks for its outcome is told of the conflict.
  const recorded = state.kind === 'ended' ? state.outcome.proposalDigest : known?.proposalDigest;
  const proposer = state.kind === 'ended' ? proposerOf(state.outcome) : known?.agent;
  const isOthers = agent !== undefined && proposer !== undefined && !isProposedUnder(agent, proposer);
  if ((recorded === undefined || recorded === digest) && !isOthers) return { kind: 'begun' };
  return { kind: 'decided', decided: denied(proposal, fromView(actionConflict(actionId))) };
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
