/** What people are asked and decide, what they approve and delegate in advance, and their passkeys. */
export type { ApprovalRequestFilter, NewApprovalRequest, PersonDecision } from './approval-request-list.js';
export { type AddPasskey } from './passkeys.js';
export { type StandingApprovalQuery } from './standing-approvals.js';
