/** Everything after the effect: find out the truth if it is not known, capture again, verify, settle. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import type { GrantClaims, Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { ApprovalRecord } from '../src/action/outcome.js';
import type { LookUp, Tool } from '../src/tools/tool.js';
import { openGrant } from '../src/trust/index.js';
import { standingApprovals } from './approvals.js';
import { shownOf } from './authorize.js';
import type { Concluded, Conclusion, Done, Truth } from './contract.js';
import type { Dependencies } from './deps.js';
import { idempotencyKey } from './execute.js';
import { authenticate, resolve, type Authentic } from './propose.js';
import { spentBy } from './limits.js';
import { readBack } from './read-back.js';
import type { Remembered } from './recent.js';
import { settle, settleUnauthenticated, type Settlement } from './settle.js';
import { Stopwatch } from './step.js';

export async function conclude(conclusion: Conclusion, deps: Dependencies): Promise<Concluded> {
  const { request, plan } = conclusion;
  const watch = new Stopwatch(conclusion.steps);
  const grant =
    plan === undefined || conclusion.grant === undefined ? undefined : await grantOf(conclusion.grant, plan, deps);
  // What was granted was authentic then. A credential that has ended since, or a worker whose clock is wrong, does not undo an effect.
  const at = grant === undefined ? new Date() : new Date(grant.iat * 1000);
  let authentic: Authentic;
  try {
    authentic = await authenticate(request, deps, at);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return { kind: 'whole', outcome: await settleUnauthenticated(request, error, deps) };
  }
  return settled(await findOut(conclusion, authentic, grant, watch, deps), plan, deps);
}

/** The same for an effect that is certain, on what this worker prepared itself: nothing came back through history. */
export async function concludeDone(prepared: Remembered, report: Done, deps: Dependencies): Promise<Concluded> {
  const { proposed, plan, grant } = prepared;
  const watch = new Stopwatch(prepared.steps);
  watch.add('execute', report.tookMs);
  const seen = await readBack(proposed, plan, report, watch, deps);
  return settled({ authentic: proposed, watch, ...planned(plan), grant, ...seen }, plan, deps);
}

async function settled(settlement: Settlement, plan: Plan | undefined, deps: Dependencies): Promise<Concluded> {
  const { authentic, status, result } = settlement;
  const made = plan !== undefined && result !== undefined && (status === 'success' || status === 'mismatch');
  const amounts = made ? await spentBy(authentic, plan, result, deps) : undefined;
  await deps.faults.at('conclude.before-settle');
  const { outcome, recorded } = await settle(amounts === undefined ? settlement : { ...settlement, amounts }, deps);
  await deps.faults.at('conclude.after-settle');
  if (recorded || plan === undefined || settlement.approvals !== plan.approvals) return { kind: 'whole', outcome };
  const { facts: _facts, decision: _decision, approvals: _approvals, pre: _pre, ...rest } = outcome;
  const { tenant: _tenant, actionId: _actionId, proposalDigest: _digest, tool: _tool, ...ending } = rest;
  return { kind: 'planned', ending };
}

async function findOut(
  conclusion: Conclusion,
  authentic: Authentic,
  grant: GrantClaims | undefined,
  watch: Stopwatch,
  deps: Dependencies,
): Promise<Settlement> {
  const { plan, report } = conclusion;
  if (plan === undefined || grant === undefined) {
    const approvals = plan === undefined ? [] : await signedDecisions(conclusion, plan, authentic, deps);
    return { authentic, watch, ...conclusion.decided, ...planned(plan), approvals, ...unmade(report) };
  }
  const base = { authentic, watch, ...planned(plan), grant };
  if (report.kind === 'done') watch.add('execute', report.tookMs);

  const truth = await lookUpIfUnknown(conclusion, grant, authentic, deps);
  if (truth.kind !== 'done') return { ...base, ...unmade(truth) };
  if (conclusion.withoutReading === true) {
    return { ...base, status: 'unknown', error: unread(), result: truth.execution.result };
  }
  return { ...base, ...(await readBack(resolve(authentic, deps), plan, truth, watch, deps)) };
}

function planned(plan: Plan | undefined): Pick<Settlement, 'facts' | 'decision' | 'approvals' | 'pre'> {
  return plan === undefined
    ? {}
    : { facts: plan.facts, decision: plan.decision, approvals: plan.approvals, pre: plan.pre };
}

/** The plan must be the one that was granted: it came back through history, which others can write. */
async function grantOf(token: string, plan: Plan, { keyring }: Dependencies): Promise<GrantClaims> {
  const claims = await openGrant(keyring, token);
  if (claims.planDigest === digest(plan)) return claims;
  throw new CountersignError('GRANT_INVALID', 'The plan is not the one that was granted.', { field: 'plan' });
}

async function signedDecisions(
  { approvals = [] }: Conclusion,
  plan: Plan,
  authentic: Authentic,
  deps: Dependencies,
): Promise<readonly ApprovalRecord[]> {
  if (approvals.length === 0) return [];
  return (await standingApprovals(approvals, shownOf(authentic, plan), plan.decision.policyDigest, deps)).records;
}

type Unmade = Exclude<Truth, Done>;

/** How an action ends whose effect was not made, or may not have been. */
function unmade(report: Truth): Pick<Settlement, 'status' | 'error' | 'unreached'> {
  switch (report.kind) {
    case 'stopped':
      return { status: report.status, error: fromView(report.error) };
    case 'not_done':
    case 'void':
      return { status: 'failed', error: fromView(report.error), unreached: report.unreached === true };
    case 'unknown':
      return { status: 'unknown', error: fromView(report.error) };
    case 'done':
      throw new CountersignError('INTERNAL', 'An effect that was made cannot be settled unread.');
  }
}

async function lookUpIfUnknown(
  conclusion: Conclusion,
  grant: GrantClaims,
  authentic: Authentic,
  deps: Dependencies,
): Promise<Truth> {
  const { report } = conclusion;
  if (report.kind !== 'unknown' || conclusion.withoutReading === true) return report;
  const { tool, input } = resolve(authentic, deps);
  if (tool.lookUp === undefined) return report;
  const answer = await lookUp(tool.lookUp.bind(tool), idempotencyKey(grant), input, deps);
  switch (answer.happened) {
    case 'yes':
      return { kind: 'done', execution: answer.execution, startedAt: grant.iat * 1000, tookMs: 0 };
    case 'no':
      return notMade(report);
    case 'unknown':
      return { kind: 'unknown', error: { ...report.error, message: `${report.error.message} (${answer.reason})` } };
  }
}

/** Pauses between two looks, milliseconds; the last one is repeated while there is patience. */
const LOOK_AGAIN_MS = [100, 300, 1_000, 2_000, 5_000] as const;

/** What a workflow task may be made to wait for; who has to look longer does so in an activity of its own. Milliseconds. */
const BRIEFLY_MS = 500;

/**
 * A system that has just lost a reply may need a moment to tell what became of the request: it is asked again before the outcome counts
 * as unknown. One that cannot be reached at all throws, and is waited for by Temporal.
 */
async function lookUp<I>(
  ask: NonNullable<Tool<I>['lookUp']>,
  key: string,
  input: I,
  { settings: { lookUpPatienceMs } }: Dependencies,
): Promise<LookUp> {
  const context = Context.current();
  const { isLocal } = context.info;
  const patience = isLocal ? Math.min(BRIEFLY_MS, lookUpPatienceMs) : lookUpPatienceMs;
  const start = performance.now();
  for (let look = 0; ; look++) {
    const answer = await ask(key, { signal: context.cancellationSignal }, input);
    if (answer.happened !== 'unknown') return answer;
    const pause = LOOK_AGAIN_MS[Math.min(look, LOOK_AGAIN_MS.length - 1)] as number;
    if (performance.now() - start + pause > patience) {
      if (patience === lookUpPatienceMs) return answer;
      throw new CountersignError('EFFECT_UNKNOWN', answer.reason);
    }
    context.heartbeat();
    await context.sleep(pause);
  }
}

function notMade({ error }: Unmade): Truth {
  if (error.code === 'CANCELLED' || error.code === 'FROZEN') return { kind: 'stopped', status: 'cancelled', error };
  return { kind: 'not_done', error: { ...error, code: 'TOOL_FAILED', message: `It did not happen: ${error.message}` } };
}

function unread(): CountersignError {
  return new CountersignError(
    'EFFECT_UNKNOWN',
    'The effect was reported, but the system could not be read back to verify it.',
    {
      fix: 'Check the system by hand; the pre-state is in the record.',
    },
  );
}

function fromView(view: ErrorView): CountersignError {
  return new CountersignError(view.code, view.message, view);
}
