/** What the tests of approval requests and of the archive share: actions that wait for people, and what people decide. */
import { randomUUID } from 'node:crypto';
import type { Decision, Requirement } from '../../src/action/decision.js';
import { digest, digestText, type Digest } from '../../src/action/json.js';
import type { Shown } from '../../src/action/outcome.js';
import type { PersonDecision, Ledger, NewApprovalRequest } from '../../src/ledger/index.js';
import { admission, proposal, type Names } from './support.js';

export function requirement(more: Partial<Requirement> = {}): Requirement {
  return {
    policy: 'orders-need-a-dba',
    reason: 'A dba must agree.',
    roles: ['dba'],
    quorum: 1,
    ttlSeconds: 3600,
    ...more,
  };
}

export interface RequestParts {
  readonly requirements?: readonly Requirement[];
  readonly environment?: string;
  readonly tool?: string;
  readonly agent?: string;
  readonly summary?: string;
  readonly reason?: string;
  readonly revises?: string;
  readonly ttlSeconds?: number;
  readonly via?: readonly string[];
  /** Another text gives another digest of what is shown. */
  readonly state?: string;
}

export function requestFor({ tenant, actionId }: Names, parts: RequestParts = {}): NewApprovalRequest {
  const {
    environment = 'production',
    tool = 'shop-db',
    agent = 'agent-1',
    summary = 'update 3 rows of orders',
    reason = 'A dba must agree.',
    requirements = [requirement()],
    state = 'as it was',
    revises,
    ttlSeconds,
    via,
  } = parts;
  const shown: Shown = {
    tenant,
    actionId,
    proposal: { actionId, tool, input: {}, ...(revises === undefined ? {} : { revises }) },
    proposalDigest: proposal(actionId),
    agent: { id: agent, roles: ['writer'] },
    tool: { name: tool, kind: 'postgres', environment },
    actionType: 'WRITE',
    operation: 'update',
    preview: { rows: 3, targets: ['orders'], reads: [], schemaChange: false, sample: [], summary },
    preDigest: digestText(state),
    requirements,
  };
  const decision: Decision = {
    effect: 'require_approval',
    reason,
    policies: requirements.map(({ policy }) => policy),
    constraints: [],
    violations: [],
    requirements,
    errors: [],
    policyDigest: digestText('policy'),
  };
  return {
    tenant,
    actionId,
    shown,
    shownDigest: digest(shown),
    decision,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(via === undefined ? {} : { via }),
  };
}

/** An admitted action that people are asked about. */
export async function waits(ledger: Ledger, names: Names, parts: RequestParts = {}): Promise<NewApprovalRequest> {
  const ask = requestFor(names, parts);
  const { agent, tool } = ask.shown;
  await ledger.actions.admit(admission(names, { agent: agent.id, tool: tool.name, environment: tool.environment }));
  await ledger.approvalRequests.open(ask);
  return ask;
}

export function yes(
  ask: Pick<NewApprovalRequest, 'tenant' | 'actionId' | 'shownDigest'>,
  person = 'ann@example.com',
  more: Partial<PersonDecision> = {},
): PersonDecision {
  const { tenant, actionId, shownDigest } = ask;
  return {
    tenant,
    actionId,
    shownDigest,
    person,
    verdict: 'approve',
    digest: token(),
    windowSeconds: 60,
    roles: ['dba'],
    ...more,
  };
}

/** The digest of a signed decision that nobody else made. */
export function token(): Digest {
  return digestText(randomUUID());
}

/** Puts asks of admitted actions there by SQL, as the ledger would have left them. */
export const MANY_REQUESTS = `
  with made as (
    insert into countersign.actions (tenant, action_id, digest, agent, tool, environment)
    select tenant, action_id || '-' || i, shown_digest, agent, tool, environment from countersign.approval_requests, generate_series(1, $2) as i
    where tenant = $1
    returning action_id
  )
  insert into countersign.approval_requests (
    tenant, action_id, shown, shown_digest, decision, policy_digest, requirements, environment, tool, operation, action_type, agent, via,
    roles, role_after, summary, reason, given, first_asked_at, asked_at, expires_at
  )
  select tenant, action_id || '-' || i, shown, shown_digest, decision, policy_digest, requirements, environment, tool, operation,
    action_type, agent, via, roles, role_after, summary, reason, given, first_asked_at, asked_at, expires_at + i * interval '1 second'
  from countersign.approval_requests, generate_series(1, $2) as i
  where tenant = $1`;
