/** An action that waits for people, as the ledger records it. */
import { escalatedTo } from '../action/milestones.js';
import type { ActionView, PendingView } from '../action/outcome.js';
import type { ArchivedRecord, Ask } from '../ledger/index.js';
import { emptyView } from './action-record.js';

/** The approval request of an action that waits for people now. */
export function openRequest(record: ArchivedRecord | undefined): Ask | undefined {
  return record?.outcome === undefined && record?.ask?.closedAt === undefined ? record?.ask : undefined;
}

/**
 * The action as its workflow would tell it, except for decisions that were refused. Its workflow is not asked: it waits for days, a worker
 * that forgot it replays it for every question, and of questions that come together some may never be answered.
 */
export function waitingView(request: Ask): ActionView {
  const { tenant, actionId, shown, decisions } = request;
  return {
    ...emptyView({ tenant, actionId, proposalDigest: shown.proposalDigest, tool: shown.tool.name }, 'pending'),
    pending: pendingOf(request),
    approvals: decisions,
  };
}

function pendingOf(request: Ask, now = new Date()): PendingView {
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
