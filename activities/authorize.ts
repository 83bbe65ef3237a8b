/**
 * Step 5, `authorize`: the deterministic gate. It admits the action to the ledger with its holds, all or none, provided that earlier actions still
 * are what the decision relied on, and signs the grant.
 */
import { CountersignError } from '../src/action/errors.js';
import { planOf, type GrantClaims, type Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { Redactor } from '../src/privacy/redaction.js';
import { signGrant } from '../src/trust/index.js';
import { assertAsLeft } from './compensation-state.js';
import { EMPTY_SNAPSHOT } from '../src/action/snapshot.js';
import { admit, type Admitted, type NoRoom } from './admit.js';
import { findTool } from './authenticate.js';
import type { ActionRequest, Activities, Approved, AuthorizeInput, Enforced, Granted, LookAgain } from './contract.js';
import type { Dependencies } from './deps.js';
import { openPreState } from './pre-state.js';
import { shownOf } from './request-approval.js';
import { redactorOf, sealedProposal, StepRun } from './step.js';

/** The content of the records, once it is certain that steps of this action made them and that they belong together. */
interface Records {
  readonly enforced: Enforced;
  readonly approved: Approved | undefined;
  readonly plan: Plan;
}

export async function authorize(input: AuthorizeInput, deps: Dependencies): ReturnType<Activities['authorize']> {
  const { request, lastLook } = input;
  const run = new StepRun('authorize', request.proposal, deps);
  const context: { facts?: Enforced['facts']; decision?: Enforced['decision'] } = {};
  try {
    const proposal = sealedProposal(request);
    const records = open(input, run, await redactorOf(request, deps), deps);
    if (records === 'stale') return lookAgain('stale_records', lastLook);
    const { enforced, approved, plan } = records;
    context.facts = enforced.facts;
    context.decision = enforced.decision;
    await assertAsLeft(request, plan.pre, deps);

    const holds = [...enforced.holds, ...(approved?.holds ?? [])];
    const admitted = await admit(enforced, request, deps, holds.length === 0 ? undefined : holds, enforced.history);
    if (admitted.kind === 'ended') return admitted;
    if (admitted.kind === 'changed') return lookAgain('history', lastLook);
    if (admitted.kind === 'no_room') return lookAgain(takenFrom(admitted, enforced), lastLook);
    const grant = await signGrant(deps.keyring, claimsOf(request, records, admitted));
    const { timeoutMs } = findTool(deps.tools, proposal.tool);
    return run.seal<Granted>({ kind: 'granted', grant, timeoutMs, answersCancellation: true });
  } catch (thrown) {
    return run.refuse(thrown, context);
  }
}

/**
 * Opens and checks the sealed records. They are stale when one is older than a grant may become, or when people approved something other
 * than what they would be shown now.
 *
 * @throws CountersignError SEAL_INVALID, GRANT_INVALID
 */
function open(
  input: AuthorizeInput,
  run: StepRun,
  redactor: Redactor | undefined,
  { settings, ledger }: Dependencies,
): Records | 'stale' {
  const { request } = input;
  const enforced = run.open<Enforced>('enforce', input.enforced);
  const { facts, decision } = enforced;
  const pre = openPreState(run, facts, input.pre);
  const approved = input.approved && run.open<Approved>('requestApproval', input.approved);
  const since = ledger.clock.now().getTime() - settings.grantTtlSeconds * 1000;
  if (enforced.at < since || (pre !== undefined && pre.at < since)) return 'stale';

  const plan = planOf(enforced, pre?.snapshot ?? EMPTY_SNAPSHOT, approved);
  if (decision.effect === 'deny') throw unauthorized('Policy denies the action.');
  if (decision.effect === 'require_approval') {
    if (approved === undefined) throw unauthorized('Policy asks people, and none of them has said yes.');
    if (approved.shownDigest !== digest(shownOf(request, { facts, decision, pre: plan.pre }, redactor))) return 'stale';
  }
  return { enforced, approved, plan };
}

function unauthorized(message: string): CountersignError {
  return new CountersignError('GRANT_INVALID', message, {
    field: 'decision',
    expected: 'a decision that allows the action, or the approvals it asks for',
  });
}

function lookAgain(because: LookAgain['because'], lastLook: boolean): LookAgain {
  if (!lastLook) return { kind: 'look_again', because };
  if (because === 'stale_records') {
    throw new CountersignError(
      'GRANT_EXPIRED',
      'What the decision rests on was too old each time it was to be granted.',
      {
        field: 'decision',
        fix: 'Check the load of the workers, then propose again.',
      },
    );
  }
  if (because === 'history') {
    throw new CountersignError(
      'HISTORY_CHANGED',
      'What earlier actions came to changed, several times in a row, between the decision and the grant.',
      { fix: 'Propose again later.' },
    );
  }
  throw new CountersignError('LIMIT_EXCEEDED', 'Others took the room that was left, several times in a row.', {
    fix: 'Propose again later.',
  });
}

/** Whose room was taken. When it was the budget of a standing approval, the action is not denied: people are asked instead. */
function takenFrom({ limits }: NoRoom, { holds }: Enforced): LookAgain['because'] {
  return limits.slice(0, holds.length).every(({ fits }) => fits) ? 'standing_approvals' : 'limits';
}

/** The claims of the grant for a plan. */
function claimsOf(
  { proposal, digest: proposalDigest }: ActionRequest,
  { enforced, approved, plan }: Records,
  { jti, iat, exp }: Admitted,
): GrantClaims {
  const { agent, tool, actionType, preview } = plan.facts;
  return {
    jti,
    tenant: agent.tenant,
    actionId: proposal.actionId,
    agent: agent.id,
    tool: tool.name,
    environment: tool.environment,
    actionType,
    proposalDigest,
    policyDigest: plan.decision.policyDigest,
    preDigest: plan.pre.digest,
    planDigest: digest(plan),
    approvals: plan.approvals.map((approval) => approval.digest).sort(),
    constraints: plan.decision.constraints,
    targets: preview.targets,
    // The grant depends on the credentials behind its standing approvals too, until the moment of the effect.
    credentials: [...new Set([...enforced.credentials, ...(approved?.credentials ?? [])])],
    rows: preview.rows,
    ...(preview.rehearsal === undefined ? {} : { rehearsal: preview.rehearsal.digest }),
    iat,
    exp,
  };
}
