/** Gathers what is known of an action: its record from the ledger, and what its workflow says while it is under way. */
import { asCountersignError, CountersignError } from '../../../action/errors.js';
import { digest } from '../../../action/json.js';
import type { ActionView, PendingView } from '../../../action/outcome.js';
import { proposalDigest, type Proposal } from '../../../action/proposal.js';
import type { CompensationView } from '../../../action/saga.js';
import { requestOf } from '../../../telling/request.js';
import { viewOf } from '../../../telling/story.js';
import type { ArchivedRecord } from '../../../ledger/index.js';
import { openAsk, waitingView } from '../../asked.js';
import type { GatewayDependencies } from '../../deps.js';

export interface Known {
  readonly view: ActionView;
  readonly record?: ArchivedRecord | undefined;
  readonly proposal?: Proposal | undefined;
  readonly stuck?: CompensationView | undefined;
  /** Set where its workflow could not be asked: what is shown is what the ledger had. */
  readonly behind: boolean;
}

type Sources = Pick<GatewayDependencies, 'countersign' | 'ledger' | 'logger'>;

/** Of the tenant alone: another's action is not found. @throws CountersignError NOT_FOUND, APPROVAL_INVALID, LEDGER_UNAVAILABLE */
export async function readAction(sources: Sources, tenant: string, actionId: string): Promise<Known> {
  const record = await sources.ledger.archive.action(tenant, actionId);
  if (record?.outcome !== undefined) {
    const { outcome } = record;
    const [proposal, stuck] = await Promise.all([
      proposed(sources, record, tenant, actionId),
      outcome.status === 'success' || outcome.status === 'mismatch' ? undoing(sources, tenant, actionId) : undefined,
    ]);
    return { view: viewOf(outcome), record, proposal, stuck, behind: false };
  }
  const { view, behind } = await underWay(sources, record, tenant, actionId);
  if (view.pending !== undefined) assertHonest(view.pending, tenant, actionId);
  const proposal = view.pending === undefined ? await proposed(sources, record, tenant, actionId) : undefined;
  return { view, record, proposal, behind };
}

async function underWay(
  { countersign, logger }: Sources,
  record: ArchivedRecord | undefined,
  tenant: string,
  actionId: string,
): Promise<{ readonly view: ActionView; readonly behind: boolean }> {
  const ask = openAsk(record);
  if (ask !== undefined) return { view: waitingView(ask), behind: false };
  try {
    return { view: await countersign.view(actionId, tenant), behind: false };
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code === 'NOT_FOUND' && record === undefined) throw noSuch(actionId);
    if (record === undefined) throw error;
    logger.warn({ actionId, tenant, err: error }, 'the workflow cannot be asked; the ledger is');
    return { view: preparing(record), behind: true };
  }
}

function noSuch(actionId: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no action ${actionId}.`, { field: 'actionId' });
}

function preparing({ tenant, actionId, proposalDigest, tool }: ArchivedRecord): ActionView {
  return {
    phase: 'preparing',
    tenant,
    actionId,
    proposalDigest,
    tool,
    approvals: [],
    refusedApprovals: [],
    cancelRequested: false,
  };
}

/** What is displayed must be what a decision is bound to, whoever keeps it. */
function assertHonest({ shown, shownDigest }: PendingView, tenant: string, actionId: string): void {
  const honest =
    digest(shown) === shownDigest &&
    shown.tenant === tenant &&
    shown.actionId === actionId &&
    proposalDigest(shown.proposal) === shown.proposalDigest;
  if (honest) return;
  throw new CountersignError('APPROVAL_INVALID', 'What is shown is not what a decision would be bound to.', {
    field: 'pending.shown',
    fix: 'Do not decide. Find out who answers for this Temporal server: what it shows was tampered with.',
  });
}

/** As people were shown it, else from the first event of its history; only where it is what the record is of. */
async function proposed(
  { countersign, logger }: Sources,
  record: ArchivedRecord | undefined,
  tenant: string,
  actionId: string,
): Promise<Proposal | undefined> {
  if (record?.approvalRequest !== undefined) return record.approvalRequest.shown.proposal;
  try {
    const described = await countersign.temporal.workflow.getHandle(`${tenant}/${actionId}`).describe();
    const request = await requestOf(countersign.temporal, described);
    if (request === undefined) return undefined;
    return record === undefined || proposalDigest(request.proposal) === record.proposalDigest
      ? request.proposal
      : undefined;
  } catch (error) {
    logger.debug({ actionId, tenant, err: error }, 'the proposal is kept no more');
    return undefined;
  }
}

/** How its undoing stands, where that failed and waits for a person. */
async function undoing(
  { countersign }: Sources,
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
