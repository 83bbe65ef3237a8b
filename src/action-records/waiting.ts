/** An action that waits for people, as the ledger records it. */
import { escalatedTo } from '../action/milestones.js';
import type { ActionView, PendingView } from '../action/outcome.js';
import type { ApprovalRequest } from '../action/approval-request.js';
import type { ArchivedRecord } from '../ledger/index.js';
import { emptyView } from './action-record.js';

/** The approval request of an action that waits for people now. */
export function openRequest(record: ArchivedRecord | undefined): ApprovalRequest | undefined {
  return record?.outcome === undefined && record?.approvalRequest?.closedAt === undefined
    ? record?.approvalRequest
    : undefined;
}

/**
 * The action as its workflow would tell it, except for decisions that were refused. Its workflow is not asked: it waits for days, a worker
 * that forgot it replays it for every question, and of questions that come together some may never be answered.
 */
export function waitingView(request: ApprovalRequest): ActionView {
  const { tenant, actionId, shown, decisions } = request;
  return {
    ...emptyView({ tenant, actionId, proposalDigest: shown.proposalDigest, tool: shown.tool.name }, 'pending'),
    pending: pendingOf(request),
    approvals: decisions,
  };
}

function pendingOf(request: ApprovalRequest, now = new Date()): PendingView {
  const { shown, shownDigest, decision, expiresAt, firstAskedAt } = request;
  const waitedSeconds = Math.max(0, (now.getTime() - Date.parse(firstAskedAt)) / 1000);
  const escalated = escalatedTo(shown.requirements, waitedSeconds);
  return {
    shown,
    shownDigest,
    decision,
    expiresAt,
    since: firstAskedAt,
    ...(escalated.length === 0 ? {} : { escalated }),
  };
}
