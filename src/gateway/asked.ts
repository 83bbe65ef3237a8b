/** What waits for people, as the ledger has it. */
import { escalatedTo } from '../action/milestones.js';
import type { ActionView, PendingView } from '../action/outcome.js';
import type { ArchivedRecord } from '../ledger/index.js';
import type { ApprovalRequest } from '../action/approval-request.js';

/** The ask of an action that waits for people now. */
export function openAsk(record: ArchivedRecord | undefined): ApprovalRequest | undefined {
  return record?.outcome === undefined && record?.approvalRequest?.closedAt === undefined
    ? record?.approvalRequest
    : undefined;
}

export function pendingOf(ask: ApprovalRequest, now = new Date()): PendingView {
  const { shown, shownDigest, decision, expiresAt, firstAskedAt } = ask;
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

/**
 * The action as its workflow would tell it, but for decisions that were refused. Its workflow is not asked: it waits for days, a worker that
 * forgot it replays it for every question, and of questions that come together some may never be answered.
 */
export function waitingView(ask: ApprovalRequest): ActionView {
  return {
    phase: 'pending',
    tenant: ask.tenant,
    actionId: ask.actionId,
    proposalDigest: ask.shown.proposalDigest,
    tool: ask.shown.tool.name,
    pending: pendingOf(ask),
    approvals: ask.decisions,
    refusedApprovals: [],
    cancelRequested: false,
  };
}
