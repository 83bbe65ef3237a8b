/**
 * A dry run: the steps before the effect, as far as they only look. The tool previews and rehearses, policy and limits decide, the ledger is
 * asked what stands against the action; nothing is admitted, held, asked for, counted or recorded.
 */
import { Context } from '@temporalio/activity';
import type { Preview } from '../src/action/decision.js';
import { dryRunDigest, type DryRun, type DryRunPreview } from '../src/action/dry-run.js';
import { asCountersignError, type CountersignError } from '../src/action/errors.js';
import type { LimitDemand } from '../src/action/limits.js';
import { parseProposal, proposalDigest, type Proposal } from '../src/action/proposal.js';
import { progress } from '../src/action/quorum.js';
import { verifyProposal } from '../src/trust/index.js';
import { frozen, revoked } from './admit.js';
import { accountable, assertNotReserved, readAuthorizedInput, type Authentic, type ToolInput } from './authenticate.js';
import { assertPromiseKept } from './capture-pre-state.js';
import type { Activities, DryRunRequest, DryRunSeen } from './contract.js';
import type { Dependencies } from './deps.js';
import { fromView } from './effect-reports.js';
import { assertRevises, assertSameTool, refusal, ruleOn } from './enforce.js';
import { NOBODY, type Beside } from './ruling.js';
import type { Ruling } from '../src/policy/index.js';
import { previewOf } from './propose.js';
import { capture } from './snapshots.js';
import { usableApprovals } from './standing-approvals.js';
import { assertWatched } from './watched.js';

/** What the tool's system says: on a worker that has the tool. */
export async function previewDryRun(
  request: DryRunRequest,
  deps: Dependencies,
): ReturnType<Activities['previewDryRun']> {
  return answered(request, deps, async (authentic) => {
    await deps.refusals.wait(accountable(authentic.agent));
    const read = readAuthorizedInput(authentic, deps);
    const { tool, actionType, operation } = read;
    if (tool.taskQueue !== undefined && tool.taskQueue !== deps.taskQueue) {
      return { kind: 'other_task_queue', taskQueue: tool.taskQueue };
    }
    const preview = await previewOf(read);
    const broken = preview.refusal ?? (await brokenPromise(read, preview, deps));
    const { name, kind, environment } = tool;
    return {
      kind: 'seen',
      tool: { name, kind, environment },
      actionType,
      operation,
      preview: withoutRows(preview),
      ...(broken === undefined ? {} : { broken }),
    };
  });
}

/** No decision depends on what rows hold, and no history need keep it. */
function withoutRows({ rehearsal, ...preview }: Preview): Preview {
  if (rehearsal === undefined) return { ...preview, sample: [] };
  const { rows: _rows, ...counted } = rehearsal;
  return { ...preview, sample: [], rehearsal: counted };
}

/** What policy, limits and people say of it: on a worker that decides. */
export async function decideDryRun(input: DryRunToDecide, deps: Dependencies): Promise<DryRun> {
  return (await decideBeside(input, NOBODY, deps)).answer;
}

export interface DryRunToDecide {
  readonly request: DryRunRequest;
  readonly seen: DryRunSeen;
}

/** The same beside others that come first. Also answers what this one takes of limits and leaves for later actions. */
export async function decideBeside(
  { request, seen }: DryRunToDecide,
  beside: Beside,
  deps: Dependencies,
): Promise<{ readonly answer: DryRun; readonly demands: readonly LimitDemand[]; readonly marks: readonly string[] }> {
  let demands: readonly LimitDemand[] = [];
  let marks: readonly string[] = [];
  const { answer } = await answered(request, deps, async (authentic) => {
    await assertRevises(authentic, deps);
    const read = readAuthorizedInput(authentic, deps);
    assertSameTool(seen, read);
    const ruling = await ruleOn(authentic, read, seen.preview, deps, { beside });
    if (ruling.decision.effect === 'deny') throw refusal(ruling.decision, ruling);
    if (seen.broken !== undefined) throw fromView(seen.broken);
    await assertNothingAgainst(authentic, seen, deps);
    await assertWatched(read.tool, read.actionType, deps);
    demands = ruling.holds;
    marks = ruling.history?.marks ?? [];
    return { kind: 'decided', answer: await allowed(authentic, seen, ruling, deps) } as const;
  });
  return { answer, demands, marks };
}

/** What refuses a proposal, refuses its dry run with the same error. What may pass by itself is thrown, and tried again. */
async function answered<T>(
  request: DryRunRequest,
  deps: Dependencies,
  body: (authentic: Authentic) => Promise<T>,
): Promise<T | { readonly kind: 'decided'; readonly answer: DryRun }> {
  let authentic: Authentic | undefined;
  try {
    authentic = await authenticateDryRun(request, deps);
    return await body(authentic);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    if (authentic !== undefined) deps.refusals.count(accountable(authentic.agent));
    return { kind: 'decided', answer: denied(request.proposal, error) };
  }
}

/** Verifies who asks as of a proposal. No workflow id is bound to it, because nothing is done under that id. @throws CountersignError */
async function authenticateDryRun(
  { proposal: untrusted, signature }: DryRunRequest,
  { keyring, ledger }: Dependencies,
): Promise<Authentic> {
  const proposal = parseProposal(untrusted);
  const now = await ledger.clock.read();
  const { agent, authority } = await verifyProposal(keyring, signature, { digest: dryRunDigest(proposal), now });
  assertNotReserved(proposal);
  return { proposal, digest: proposalDigest(proposal), agent, authority, at: now };
}

/** Why a rehearsal shows that the action would not do what it promises. Told once policy allows the action, as in earnest. */
async function brokenPromise(
  read: ToolInput,
  preview: DryRunSeen['preview'],
  deps: Dependencies,
): Promise<DryRunSeen['broken']> {
  if (read.actionType === 'READ') return undefined;
  try {
    const { state } = await capture(read.tool, read.input, { preview }, Context.current().cancellationSignal);
    await assertPromiseKept(read, state, preview.rehearsal, deps);
    return undefined;
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return error.toJSON();
  }
}

/** @throws CountersignError FROZEN, CREDENTIAL_REVOKED */
export async function assertNothingAgainst(
  { agent, authority }: Authentic,
  { tool, preview }: Pick<DryRunSeen, 'tool' | 'preview'>,
  { ledger }: Dependencies,
): Promise<void> {
  const { freeze, revocation } = await ledger.controls.against({
    tenant: agent.tenant,
    agent: agent.id,
    tool: tool.name,
    targets: preview.targets,
    credentials: authority.credentials,
  });
  if (freeze !== undefined) throw frozen(freeze);
  if (revocation !== undefined) throw revoked(revocation);
}

async function allowed(
  { proposal, digest }: Authentic,
  { preview, actionType, operation, tool }: DryRunSeen,
  { facts, decision, queue, measured }: Ruling,
  deps: Dependencies,
): Promise<DryRun> {
  const { effect, reason, constraints, requirements } = decision;
  const { id, roles, owner } = facts.agent;
  const shown = { agent: { id, roles, ...(owner === undefined ? {} : { owner }) }, requirements };
  const asks = effect === 'require_approval';
  const given = asks ? await usableApprovals(proposal.actionId, facts, shown, measured, deps) : [];
  const approvals = given.map(({ record }) => record);
  return {
    effect,
    reason,
    tool: tool.name,
    proposalDigest: digest,
    actionType,
    operation,
    environment: tool.environment,
    preview: previewFor(preview),
    constraints,
    ...(asks ? { missing: progress(requirements, approvals).missing.map(({ policy: _policy, ...who }) => who) } : {}),
    ...(queue === undefined ? {} : { waits: { reason: queue.reason, retryAfterMs: queue.retryAfterMs } }),
  };
}

function previewFor({ rows, targets, summary, rehearsal }: DryRunSeen['preview']): DryRunPreview {
  return { rows, targets, summary, ...(rehearsal === undefined ? {} : { tables: rehearsal.tables }) };
}

/** The proposal may be anything: nobody has checked it yet. */
export function denied(proposal: Partial<Proposal> | undefined, error: CountersignError): DryRun {
  const view = error.toJSON();
  return {
    effect: 'deny',
    reason: error.message,
    tool: String(proposal?.tool),
    proposalDigest: proposalDigest(proposal as Proposal),
    error: view,
  };
}
