/** Step 4, `requestApproval`: checks whether the people whom policy requires have approved, and opens an approval request if not. */
import type { Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { ApprovalRecord, Shown } from '../src/action/outcome.js';
import { progress } from '../src/action/quorum.js';
import { EMPTY_SNAPSHOT } from '../src/action/snapshot.js';
import type { Redactor } from '../src/privacy/redaction.js';
import { admit } from './admit.js';
import { countDecisions } from './approvals.js';
import type {
  Activities,
  ActionRequest,
  ApprovalInput,
  Approved,
  Ended,
  Enforced,
  Pending,
  Sealed,
} from './contract.js';
import type { Dependencies } from './deps.js';
import { openPreState } from './pre-state.js';
import { neededStandingApprovals, usableApprovals, type UsableApproval } from './standing-approvals.js';
import { redactorOf, sealedProposal, StepRun } from './step.js';

export async function requestApproval(
  input: ApprovalInput,
  deps: Dependencies,
): ReturnType<Activities['requestApproval']> {
  const run = new StepRun('requestApproval', input.request.proposal, deps);
  const context: { facts?: Enforced['facts']; decision?: Enforced['decision'] } = {};
  try {
    const enforced = run.open<Enforced>('enforce', input.enforced);
    context.facts = enforced.facts;
    context.decision = enforced.decision;
    const pre = openPreState(run, enforced.facts, input.pre);
    return await approvedOrPending(input, enforced, pre?.snapshot ?? EMPTY_SNAPSHOT, run, deps);
  } catch (thrown) {
    return run.refuse(thrown, context);
  }
}

async function approvedOrPending(
  { request, tokens, withoutStandingApprovals }: ApprovalInput,
  enforced: Enforced,
  pre: Plan['pre'],
  run: StepRun,
  deps: Dependencies,
): Promise<Sealed<Approved> | Pending | Ended> {
  const { facts, decision, measured } = enforced;
  const { requirements, policyDigest } = decision;
  const { tenant } = facts.agent;
  const { actionId } = sealedProposal(request);
  const redactor = await redactorOf(request, deps);
  const shown = shownOf(request, { facts, decision, pre }, redactor);
  const shownDigest = digest(shown);
  const { records, counting, dropped } = await countDecisions(tokens, shown, policyDigest, deps);
  const approved = (approvals: readonly ApprovalRecord[], standing: readonly UsableApproval[]): Sealed<Approved> =>
    run.seal<Approved>({
      kind: 'approved',
      shownDigest,
      approvals,
      holds: standing.flatMap((one) => one.holds),
      figures: standing.flatMap((one) => one.figures),
      credentials: standing.flatMap((one) => one.credentials),
    });

  if (progress(requirements, records).state === 'approved') {
    if (tokens.length > 0) await deps.ledger.approvalRequests.close({ tenant, actionId });
    return approved(records, []);
  }
  const standing = withoutStandingApprovals ? [] : await usableApprovals(actionId, facts, shown, measured, deps);
  const needed = neededStandingApprovals(requirements, records, standing);
  if (needed !== undefined) return approved([...records, ...needed.map(({ record }) => record)], needed);

  // No request is opened for an action that has ended, conflicts or is frozen. Nothing is held while people decide.
  const admitted = await admit(enforced, request, deps, []);
  if (admitted.kind === 'ended') return admitted;
  const approvals = [...records, ...standing.map(({ record }) => record)];
  await deps.ledger.approvalRequests.open({
    tenant,
    actionId,
    shown,
    shownDigest,
    decision,
    given: approvals,
    renewed: tokens.length > 0,
    via: facts.agent.via ?? [],
  });
  return {
    kind: 'pending',
    plan: { facts, decision, approvals, pre },
    shown,
    shownDigest,
    counting,
    dropped,
    ...(deps.notifier === undefined ? {} : { announce: true }),
  };
}

/** Builds exactly what people are shown. Their decisions are bound to its digest. */
export function shownOf(
  { proposal, digest: proposalDigest }: Pick<ActionRequest, 'proposal' | 'digest'>,
  { facts, decision, pre }: Pick<Plan, 'facts' | 'decision' | 'pre'>,
  redactor: Redactor | undefined,
): Shown {
  const { agent } = facts;
  const shown: Shown = {
    tenant: agent.tenant,
    actionId: proposal.actionId,
    proposal,
    proposalDigest,
    agent: { id: agent.id, roles: agent.roles, ...(agent.owner === undefined ? {} : { owner: agent.owner }) },
    ...(facts.editedBy === undefined ? {} : { editedBy: facts.editedBy }),
    tool: facts.tool,
    actionType: facts.actionType,
    operation: facts.operation,
    preview: facts.preview,
    preDigest: pre.digest,
    requirements: decision.requirements,
  };
  return redactor?.shown(shown) ?? shown;
}
