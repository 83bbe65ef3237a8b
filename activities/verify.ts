/** Step 8, `verify`: compares the real system with what was promised, settles the holds and signs the receipt. */
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import { planOf, type GrantClaims, type Plan } from '../src/action/grant.js';
import { digest } from '../src/action/json.js';
import type { Check } from '../src/action/outcome.js';
import { EMPTY_DELTA, EMPTY_SNAPSHOT, type Snapshot, type State } from '../src/action/snapshot.js';
import type { Execution } from '../src/tools/tool.js';
import { openGrant } from '../src/trust/index.js';
import { allHold, verifyEffect } from '../src/verify/index.js';
import { authorOf, type Author } from './author.js';
import { readInput } from './authenticate.js';
import { verificationOf } from './capture-post-state.js';
import type { Activities, AuthorizedAction, Concluded, EffectReport, PostState, VerifyInput } from './contract.js';
import type { Dependencies } from './deps.js';
import { fromView, openReport, usesOf } from './effect-reports.js';
import { recordEnding } from './settle.js';
import { recordOutcome, type OutcomeSettlement } from './record-outcome.js';
import { spentBy } from './limits.js';
import { recall } from './snapshots.js';
import { recordsOf } from './step-digests.js';
import { sealedProposal, StepRun, workflowIdentity } from './step.js';

/** How the action ended, before it is recorded. */
type Verdict = Pick<
  OutcomeSettlement,
  'status' | 'error' | 'reason' | 'post' | 'delta' | 'checks' | 'result' | 'notAttempted' | 'spent' | 'ruledOut'
>;

export async function verify(input: VerifyInput, deps: Dependencies): ReturnType<Activities['verify']> {
  const { request, authorized, instead, post } = input;
  const run = new StepRun('capturePostState', request.proposal, deps);
  const postState = post && run.open<PostState>('capturePostState', post);
  // The tool ruled out that an earlier run made the effect, so this run ends as it would have without that run.
  if (postState?.kind === 'not_made' && instead !== undefined) return recordEnding(instead, { ruledOut: 'all' }, deps);

  const plan = authorized && planOf(authorized.enforced, authorized.pre, authorized.approved);
  const grant = authorized && plan && (await grantOf(authorized, plan, deps));
  const author = await authorOf(request, deps, grant && new Date(grant.iat * 1000));
  const verdict = await judge(input, postState, plan, run, deps);
  const { tookMs } = run;
  const settlement: OutcomeSettlement = {
    author,
    ...plan,
    ...(grant === undefined ? {} : { grant }),
    ...verdict,
    records: recordsOf(run, { ...input.named, ...sealedIn(authorized) }),
    steps: { ...input.steps, verify: tookMs },
  };
  const recorded = await recordOutcome(await withSpending(settlement, author, deps), deps);
  if (recorded.kind === 'effect_possible') return recorded;
  const { outcome } = recorded;
  if (recorded.recorded || plan === undefined) return { kind: 'complete', outcome };
  return endingOf(outcome);
}

/** What was decided before the effect, as it was sealed. */
function sealedIn(authorized: AuthorizedAction | undefined): Pick<Partial<AuthorizedAction>, 'enforced' | 'approved'> {
  if (authorized === undefined) return {};
  const { enforced, approved } = authorized;
  return { enforced, ...(approved === undefined ? {} : { approved }) };
}

/** Leaves out what history has already. The workflow adds it to the outcome. */
function endingOf(outcome: Extract<Concluded, { kind: 'complete' }>['outcome']): Concluded {
  const { facts: _facts, decision: _decision, approvals: _approvals, pre: _pre, ...rest } = outcome;
  const { post: _post, delta: _delta, result: _result, tenant: _tenant, actionId: _id, ...more } = rest;
  const { proposalDigest: _digest, tool: _tool, ...ending } = more;
  return { kind: 'verified', ending };
}

/** Opens the grant. The plan came back through history, which others can write, so it must be the one that was granted. */
async function grantOf({ grant }: AuthorizedAction, plan: Plan, { keyring }: Dependencies): Promise<GrantClaims> {
  const claims = await openGrant(keyring, grant);
  if (claims.planDigest === digest(plan)) return claims;
  throw new CountersignError('GRANT_INVALID', 'The plan is not the one that was granted.', { field: 'plan' });
}

async function judge(
  { request, report, attempts }: VerifyInput,
  postState: PostState | undefined,
  plan: Plan | undefined,
  run: StepRun,
  deps: Dependencies,
): Promise<Verdict> {
  const effectReport = openReport(report, run);
  switch (postState?.kind) {
    case undefined:
      if (effectReport.kind === 'done' && plan?.facts.actionType === 'READ') {
        return compare(request, { snapshot: EMPTY_SNAPSHOT, delta: EMPTY_DELTA }, effectReport.execution, plan, deps);
      }
      if (effectReport.kind === 'unknown' && (await isNeverBegun(deps))) return neverBegun(effectReport.error);
      return unread(effectReport, [...attempts.map((attempt) => openReport(attempt, run)), effectReport]);
    case 'unknown':
      if (effectReport.kind === 'unknown' && (await isNeverBegun(deps))) return neverBegun(effectReport.error);
      return { status: 'unknown', error: fromView(postState.error) };
    case 'not_made':
      if (effectReport.kind === 'done' || effectReport.kind === 'unknown')
        return { ...notMade(postState.error), ruledOut: 'all' };
      return { ...unread(effectReport, []), ruledOut: 'all' };
    case 'made_unverified':
      return {
        status: 'unknown',
        error: fromView({
          code: 'EFFECT_UNKNOWN',
          message: 'An earlier run made the effect and ended before it was verified.',
          fix: 'Look at the system itself, then say what you found: countersign resolve <action> --happened | --did-not-happen.',
        }),
        result: postState.found.result,
        spent: true,
      };
    case 'post_state': {
      const execution = effectReport.kind === 'done' ? effectReport.execution : postState.found;
      if (execution === undefined || plan === undefined) throw unjudgeable();
      return compare(request, postState, execution, plan, deps);
    }
  }
}

/** The verdict when the system was not read again, because nothing happened or because it was unreachable for too long. */
function unread(effectReport: EffectReport, reports: readonly EffectReport[]): Verdict {
  switch (effectReport.kind) {
    case 'done':
      return { status: 'unknown', error: unverified(), result: effectReport.execution.result };
    case 'unknown':
      return { status: 'unknown', error: fromView(effectReport.error) };
    case 'stopped':
      return { status: 'cancelled', error: fromView(effectReport.error), ruledOut: usesOf(reports) };
    case 'not_done':
    case 'grant_lapsed':
      return {
        status: 'failed',
        error: fromView(effectReport.error),
        notAttempted: effectReport.notAttempted === true,
        ruledOut: usesOf(reports),
      };
  }
}

/** Whether no grant of the action was used, and none can be any more: an effect that no worker took up needs no look-up. */
async function isNeverBegun({ ledger }: Dependencies): Promise<boolean> {
  const { tenant, actionId } = workflowIdentity();
  await ledger.grants.stopSends(tenant, actionId);
  return (await ledger.actions.find(tenant, actionId))?.uses === 0;
}

function neverBegun(error: ErrorView): Verdict {
  return { ...notMade(error), notAttempted: true };
}

function notMade(error: ErrorView): Pick<Verdict, 'status' | 'error'> {
  if (error.code === 'CANCELLED' || error.code === 'FROZEN') return { status: 'cancelled', error: fromView(error) };
  const message = `It did not happen: ${error.message}`;
  return { status: 'failed', error: fromView({ ...error, code: 'TOOL_FAILED', message }) };
}

async function compare(
  request: VerifyInput['request'],
  {
    snapshot,
    delta,
    unsampled,
    waited = {},
  }: Pick<Extract<PostState, { kind: 'post_state' }>, 'snapshot' | 'delta' | 'unsampled' | 'waited'>,
  execution: Execution,
  plan: Plan,
  deps: Dependencies,
): Promise<Verdict> {
  const read = readInput(sealedProposal(request), deps);
  const states = await statesOf(plan.pre, snapshot, deps);
  if ('lost' in states) return { ...states.lost, result: execution.result };
  const observed = { read, plan, ...states, snapshot, delta, unsampled, execution };
  const found = await verifyEffect(verificationOf(observed, deps));
  const checks = found.map((check) =>
    Object.hasOwn(waited, check.name) ? { ...check, detail: waited[check.name] as string } : check,
  );
  return verdictOf(await withSemanticCheck(request, delta, checks, deps), {
    post: snapshot,
    delta,
    result: execution.result,
  });
}

/** What was captured. `lost`: the ledger has it no more, or has something else in its place, and nothing can be compared with what was promised. */
async function statesOf(
  pre: Snapshot,
  post: Snapshot,
  deps: Dependencies,
): Promise<{ readonly pre: State; readonly post: State } | { readonly lost: Pick<Verdict, 'status' | 'error'> }> {
  const { tenant } = workflowIdentity();
  try {
    return { pre: await recall(tenant, pre, deps), post: await recall(tenant, post, deps) };
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return { lost: { status: 'unknown', error: unverified(`it cannot be verified: ${error.message}`) } };
  }
}

/** Runs the semantic check last, once, and only when all other checks hold: it can only turn a success into a mismatch. */
async function withSemanticCheck(
  { proposal: { expectedOutcome }, digest: about }: VerifyInput['request'],
  delta: NonNullable<Verdict['delta']>,
  checks: readonly Check[],
  { verification }: Dependencies,
): Promise<readonly Check[]> {
  if (expectedOutcome === undefined || verification?.semantic === undefined || !allHold(checks)) return checks;
  return [...checks, await verification.semantic.check({ about, expectedOutcome, delta, checks })];
}

function verdictOf(checks: readonly Check[], observed: Required<Pick<Verdict, 'post' | 'delta' | 'result'>>): Verdict {
  if (allHold(checks)) {
    return { status: 'success', reason: `Done and verified: ${checks.length} checks hold.`, ...observed, checks };
  }
  const broken = checks.filter(({ ok }) => !ok);
  const details = broken.map(({ name, detail }) => `${name}: ${detail ?? 'does not hold'}`);
  const error = new CountersignError(
    'EXPECTATION_UNMET',
    `The system does not hold what was promised: ${details.slice(0, 3).join('; ')}`,
    {
      ...(checks.length === 0 ? {} : { field: `checks.${broken[0]?.name ?? ''}` }),
      fix: 'Compare the delta with the proposal; the pre-state is recorded.',
    },
  );
  return { status: 'mismatch', error, ...observed, checks };
}

/** Adds what the effect really spent, where the limits can determine it. */
async function withSpending(
  settlement: OutcomeSettlement,
  author: Author,
  deps: Dependencies,
): Promise<OutcomeSettlement> {
  const { status, result, facts, decision } = settlement;
  if (author.authentic === undefined || result === undefined || facts === undefined || decision === undefined) {
    return settlement;
  }
  if (status !== 'success' && status !== 'mismatch') return settlement;
  const amounts = await spentBy(author.authentic, { facts, decision }, result, deps);
  return amounts === undefined ? settlement : { ...settlement, amounts };
}

function unjudgeable(): CountersignError {
  return new CountersignError('SEAL_INVALID', 'The post-state is of an effect that nothing was granted for.', {
    field: 'post',
  });
}

function unverified(why = 'the system could not be read again to verify it.'): CountersignError {
  return new CountersignError('EFFECT_UNKNOWN', `The effect was reported, but ${why}`, {
    fix: 'Check the system by hand; the pre-state is in the record.',
  });
}
