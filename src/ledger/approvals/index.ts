/** What people are asked and decide, what they approve and delegate in advance, and their passkeys. */
export { ApprovalRequests } from './approval-requests.js';
export type {
  ApprovalRequestCount,
  ApprovalRequestFilter,
  ApprovalRequestPage,
  NewApprovalRequest,
  PersonDecision,
  RecordedDecision,
} from './approval-request-list.js';
export { Passkeys, type AddPasskey, type RetirePasskey } from './passkeys.js';
export { RoleDelegations } from './role-delegations.js';
export { StandingApprovals, type StandingApprovalQuery } from './standing-approvals.js';
