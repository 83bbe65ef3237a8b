/** Actions as the API shows them: to people all that is recorded, to agents no more than they need to go on. */
import { withoutUndefined } from '../../action/json.js';
import { proposerOf, type ApprovalRecord, type Outcome, type PendingView } from '../../action/outcome.js';
import { progress } from '../../action/quorum.js';
import type { FoundAction } from '../../action-records/find.js';
import type { ListedApprovalRequest } from '../../action/approval-request.js';
import type { Principal } from '../auth/principal.js';
import type { OwnAction } from './found.js';

export function outcomeOf({ view }: FoundAction): Outcome | undefined {
  return view?.outcome;
}

/** The outcome as this principal may see it. */
export function outcomeFor({ kind }: Pick<Principal, 'kind'>, outcome: Outcome): object {
  return kind === 'person' ? outcome : outcomeForAgent(outcome);
}

/** The action as this principal may see it. */
export function actionFor({ kind }: Pick<Principal, 'kind'>, found: OwnAction): object {
  return kind === 'person' ? actionForPerson(found) : actionForAgent(found);
}

function actionForPerson(found: OwnAction): object {
  const { archived, view } = found;
  const outcome = outcomeOf(found);
  const { approvalRequest, ...recorded } = archived ?? {};
  const pending = view?.pending;
  return {
    ...summaryOf(found),
    ...recorded,
    status: statusOf(found),
    ...(view === undefined ? {} : { phase: view.phase, refusedApprovals: view.refusedApprovals }),
    cancelRequested: view?.cancelRequested ?? false,
    approvals: view?.approvals ?? outcome?.approvals ?? approvalRequest?.decisions ?? [],
    ...(pending === undefined ? {} : { pending }),
    ...(outcome === undefined ? {} : { outcome }),
  };
}

/** No sample of rows, no state before or after, no names of people. Of what was denied, why and nothing more. */
function actionForAgent(found: OwnAction): object {
  const { view } = found;
  const outcome = outcomeOf(found);
  const pending = view?.pending;
  return {
    ...summaryOf(found),
    status: statusOf(found),
    ...(view === undefined ? {} : { phase: view.phase }),
    cancelRequested: view?.cancelRequested ?? false,
    ...(pending === undefined || outcome !== undefined
      ? {}
      : { pending: pendingForAgent(pending, view?.approvals ?? []) }),
    ...(outcome === undefined ? {} : { outcome: outcomeForAgent(outcome) }),
  };
}

function summaryOf(found: OwnAction): object {
  const { tenant, actionId, archived, view, started } = found;
  const outcome = outcomeOf(found);
  const { agent, environment, summary, effect, reason, code, proposedAt, endedAt, expiresAt, receipt, revises } =
    archived ?? {};
  const pending = view?.pending;
  return withoutUndefined({
    tenant,
    actionId,
    tool: archived?.tool ?? view?.tool ?? started?.tool,
    proposalDigest: archived?.proposalDigest ?? view?.proposalDigest,
    agent: agent ?? pending?.shown.agent.id ?? (outcome && proposerOf(outcome)) ?? started?.agent,
    environment: environment ?? pending?.shown.tool.environment ?? outcome?.facts?.tool.environment,
    summary: summary ?? pending?.shown.preview.summary ?? outcome?.facts?.preview.summary,
    effect: effect ?? outcome?.decision?.effect,
    reason: outcome?.reason ?? pending?.decision.reason ?? reason,
    code: outcome?.error?.code ?? code,
    proposedAt: proposedAt ?? started?.proposedAt,
    endedAt,
    expiresAt: pending?.expiresAt ?? expiresAt,
    receipt: outcome?.receipt ?? receipt,
    revises,
  });
}

function statusOf(found: OwnAction): string {
  const { archived, view } = found;
  return outcomeOf(found)?.status ?? (view?.pending === undefined ? (archived?.status ?? 'open') : 'pending');
}

function pendingForAgent({ shown, expiresAt, decision }: PendingView, approvals: readonly ApprovalRecord[]): object {
  const { missing } = progress(shown.requirements, approvals);
  return {
    reason: decision.reason,
    expiresAt,
    missing: missing.map(({ policy: _policy, ...who }) => who),
  };
}

function outcomeForAgent(outcome: Outcome): object {
  const { status, reason, error, tenant, actionId, proposalDigest, tool, revisedBy, receipt } = outcome;
  const told = withoutUndefined({ status, reason, error, tenant, actionId, proposalDigest, tool, revisedBy, receipt });
  if (status === 'denied') return told;
  const { facts, decision, approvals, delta, checks, result, resolution, compensation, steps } = outcome;
  return withoutUndefined({
    ...told,
    actionType: facts?.actionType,
    operation: facts?.operation,
    environment: facts?.tool.environment,
    preview:
      facts === undefined
        ? undefined
        : { rows: facts.preview.rows, targets: facts.preview.targets, summary: facts.preview.summary },
    decision:
      decision === undefined
        ? undefined
        : { effect: decision.effect, reason: decision.reason, constraints: decision.constraints },
    approvals: approvals.map(({ verdict, at }) => ({ verdict, at })),
    delta:
      delta === undefined
        ? undefined
        : {
            patch: delta.patch.map(({ op, path }) => ({ op, path })),
            operations: delta.operations,
            latencyMs: delta.latencyMs,
          },
    // Why one failed tells what was read.
    checks: checks.map(({ name, ok }) => ({ name, ok })),
    result,
    resolution: resolution === undefined ? undefined : { verdict: resolution.verdict, at: resolution.at },
    compensation,
    steps,
  });
}

/** An approval request as the list shows it, with who is still missing. */
export function approvalRequestFor(request: ListedApprovalRequest): object {
  const { state, missing } = progress(request.requirements, request.decisions);
  return { ...request, state, missing };
}
