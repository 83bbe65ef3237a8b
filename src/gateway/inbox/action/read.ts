/** Reads what the page of an action shows: its record, and its compensation where that waits for a person. */
import type { ActionRecord } from '../../../action-records/action-record.js';
import { readAction } from '../../../action-records/read.js';
import { assertShownMatches } from '../../../action-records/shown.js';
import type { Proposal } from '../../../action/proposal.js';
import type { CompensationView } from '../../../action/saga.js';
import type { GatewayDependencies } from '../../deps.js';

export interface ShownAction extends ActionRecord {
  readonly stuck?: CompensationView | undefined;
}

type Sources = Pick<GatewayDependencies, 'countersign' | 'ledger' | 'redaction' | 'settings'>;

/** Of the tenant alone: another's action is not found. @throws CountersignError NOT_FOUND, APPROVAL_INVALID, LEDGER_UNAVAILABLE */
export async function readForPage(
  { countersign, ledger, redaction, settings }: Sources,
  tenant: string,
  actionId: string,
): Promise<ShownAction> {
  const { temporalUiUrl: uiUrl, temporalNamespace: namespace } = settings;
  const temporalUi = uiUrl === undefined ? undefined : { uiUrl, namespace };
  const redact = async (proposal: Proposal): Promise<Proposal> =>
    (await redaction?.about(tenant, proposal))?.proposal(proposal) ?? proposal;
  const record = await readAction({ countersign, ledger, forPeople: true, temporalUi, redact }, { tenant, actionId });
  const { pending, outcome } = record.view;
  if (pending !== undefined) assertShownMatches(pending, { tenant, actionId });
  const undone = outcome?.status === 'success' || outcome?.status === 'mismatch';
  const stuck = undone ? await stuckCompensation(countersign, tenant, actionId) : undefined;
  return { ...record, stuck };
}

async function stuckCompensation(
  countersign: Sources['countersign'],
  tenant: string,
  actionId: string,
): Promise<CompensationView | undefined> {
  try {
    const view = await countersign.compensation(actionId, tenant);
    return view.status === 'needs_person' ? view : undefined;
  } catch {
    return undefined;
  }
}
