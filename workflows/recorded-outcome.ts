/** Tells what the ledger has as the outcome of an action: its workflow's own answer may have been overtaken by a person's word. */
import type { Outcome } from '../src/action/outcome.js';
import { errorView, refusal } from './failures.js';
import { commands } from './steps.js';

/** Workflow id: `recorded/<tenant>/<actionId>`. Fails with NOT_FOUND. */
export async function recordedOutcome(tenant: string, actionId: string): Promise<Outcome> {
  try {
    return await commands.recordedOutcome(tenant, actionId);
  } catch (failure) {
    throw refusal(errorView(failure));
  }
}
