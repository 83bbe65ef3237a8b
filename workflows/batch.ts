/** Decides on several proposals together, and begins all of their actions or none. */
import { workflowInfo } from '@temporalio/workflow';
import type { Activities, BatchedFound, BatchedRequest, BatchRequest, DryRunRequest } from '../activities/contract.js';
import type { BatchDecision, BatchedDecision } from '../src/action/batch.js';
import { startAction } from './children.js';
import { errorView, refusal, refuse } from './failures.js';
import { local, onTaskQueue } from './steps.js';

type Previewed = Awaited<ReturnType<Activities['previewDryRun']>>;

/**
 * Workflow id: `batch/<tenant>/<digest>`. The actions go on without it. All are begun in one step of it, which survives whatever ends
 * the process that asked. Fails where the ledger or a tool's system cannot be asked; then none is begun.
 */
export async function batch({ agent, actions }: BatchRequest): Promise<BatchDecision> {
  const [, tenant = ''] = workflowInfo().workflowId.split('/');
  const decision = await decided(tenant, agent, actions);
  if (!decision.begun) return decision;
  const begin = actions.filter((_, index) => decision.actions[index]?.kind === 'decided');
  await Promise.all(begin.map(({ action }) => startAction(tenant, action, agent)));
  return decision;
}

async function decided(tenant: string, agent: string, actions: readonly BatchedRequest[]): Promise<BatchDecision> {
  try {
    const before = await local.begunBefore(
      tenant,
      agent,
      actions.map(({ action }) => action),
    );
    const requests = actions.map(({ action: { proposal }, dryRunSignature: signature }) => ({ proposal, signature }));
    const here = await Promise.all(
      requests.map(async (request, n) => before[n] ?? (await local.previewDryRun(request))),
    );
    // Only when all have answered: in which order local activities do is not the same on replay, and must not matter.
    const found = await Promise.all(here.map((one, n) => wherever(one, requests[n] as DryRunRequest)));
    return await local.decideBatch(requests.map((request, n) => ({ request, found: found[n] as BatchedFound })));
  } catch (failure) {
    throw refusal(errorView(failure));
  }
}

/** Where the tool has workers of its own, they are asked. */
async function wherever(here: BatchedDecision | Previewed, request: DryRunRequest): Promise<BatchedFound> {
  const seen = here.kind === 'other_task_queue' ? await onTaskQueue(here.taskQueue).previewDryRun(request) : here;
  switch (seen.kind) {
    case 'other_task_queue':
      throw refuse('UNKNOWN_TOOL', 'Workers disagree on which task queue the tool belongs to.');
    case 'begun':
    case 'seen':
      return seen;
    case 'decided':
      return 'decided' in seen ? seen : { kind: 'decided', decided: seen.answer };
  }
}
