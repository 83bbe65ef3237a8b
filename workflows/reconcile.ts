/** Actions that were left behind are settled, so that nothing they hold is held for ever. Started by a schedule. */
import { workflowInfo } from '@temporalio/workflow';
import type { Reconciled, ReconcileOptions } from '../activities/contract.js';
import { rounds } from './steps.js';

/** Goes on where the scheduled run before stopped; after the last open action it begins again at the first. */
export function reconcile(options: ReconcileOptions = {}): Promise<Reconciled> {
  const before = workflowInfo().lastResult as Reconciled | undefined;
  return rounds.reconcile(before?.after === undefined ? options : { ...options, after: before.after });
}
