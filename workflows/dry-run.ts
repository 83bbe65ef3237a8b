/** Tells what would become of a proposal: by looking, without an effect and without anything that another action would notice. */
import type { DryRunRequest } from '../activities/contract.js';
import type { DryRun } from '../src/action/dry-run.js';
import { errorView, refusal, refuse } from './failures.js';
import { local, onTaskQueue } from './steps.js';

/** Workflow id: `dry/<tenant>/<a new UUID>`. Fails where the ledger or the tool's system cannot be asked. */
export async function dryRun(request: DryRunRequest): Promise<DryRun> {
  try {
    const here = await local.previewDryRun(request);
    const seen = here.kind === 'other_task_queue' ? await onTaskQueue(here.taskQueue).previewDryRun(request) : here;
    if (seen.kind === 'decided') return seen.answer;
    if (seen.kind === 'seen') return await local.decideDryRun({ request, seen });
  } catch (failure) {
    throw refusal(errorView(failure));
  }
  throw refuse('UNKNOWN_TOOL', 'Workers disagree on which task queue the tool belongs to.');
}
