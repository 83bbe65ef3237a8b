/** Rows of the list of approval requests, and what they say. */
import { sql } from 'kysely';
import type { ApprovalRequestTimes, ListedApprovalRequest } from '../../action/approval-request.js';
import type { ActionType, Decision, Requirement } from '../../action/decision.js';
import type { Digest } from '../../action/json.js';
import type { ApprovalRecord, Shown } from '../../action/outcome.js';
import { recordOf, type DecisionJson } from './person-decisions.js';

export interface TimesRow {
  readonly first_asked_at: Date;
  readonly asked_at: Date;
  readonly expires_at: Date;
}

export interface ListedRow extends TimesRow {
  readonly action_id: string;
  readonly shown_digest: Digest;
  readonly policy_digest: Digest;
  readonly requirements: readonly Requirement[];
  readonly environment: string;
  readonly tool: string;
  readonly operation: string;
  readonly action_type: ActionType;
  readonly agent: string;
  readonly via: readonly string[];
  readonly roles: readonly string[];
  readonly role_after: readonly number[];
  readonly summary: string;
  readonly reason: string;
  readonly given: readonly ApprovalRecord[];
  readonly revises: string | null;
  readonly decisions: readonly DecisionJson[];
}

export interface FoundRow extends ListedRow {
  readonly shown: Shown;
  readonly decision: Decision;
  readonly closed_at: Date | null;
}

export const LISTED = sql`
  a.action_id, a.shown_digest, a.policy_digest, a.requirements, a.environment, a.tool, a.operation, a.action_type, a.agent, a.via,
  a.roles, a.role_after, a.summary, a.reason, a.given, a.revises, a.first_asked_at, a.asked_at, a.expires_at`;

export function listed(tenant: string, row: ListedRow): ListedApprovalRequest {
  return {
    tenant,
    actionId: row.action_id,
    shownDigest: row.shown_digest,
    policyDigest: row.policy_digest,
    environment: row.environment,
    tool: row.tool,
    operation: row.operation,
    actionType: row.action_type,
    agent: row.agent,
    via: row.via,
    roles: row.roles.map((role, index) => {
      const afterSeconds = row.role_after[index] ?? 0;
      return afterSeconds === 0 ? { role } : { role, afterSeconds };
    }),
    requirements: row.requirements,
    summary: row.summary,
    reason: row.reason,
    ...(row.revises === null ? {} : { revises: row.revises }),
    ...timesOf(row),
    decisions: [...row.given, ...row.decisions.map(recordOf)],
  };
}

export function timesOf(row: TimesRow): ApprovalRequestTimes {
  return {
    firstAskedAt: row.first_asked_at.toISOString(),
    askedAt: row.asked_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
  };
}
