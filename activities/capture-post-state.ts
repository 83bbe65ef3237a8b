/** Step 7, `capturePostState`: finds out whether the effect was made, where that is not known, and reads the real system again. */
import { Context } from '@temporalio/activity';
import { CountersignError, type ErrorView } from '../src/action/errors.js';
import { planOf, type Plan } from '../src/action/grant.js';
import type { Check } from '../src/action/outcome.js';
import type { Proposal } from '../src/action/proposal.js';
import { EMPTY_SNAPSHOT, type Snapshot, type State } from '../src/action/snapshot.js';
import { idempotencyKey } from '../src/action/idempotency-key.js';
import type { Execution } from '../src/tools/tool.js';
import { openGrant } from '../src/trust/index.js';
import {
  allHold,
  awaitChecks,
  createDelta,
  deadlinesOf,
  verifyEffect,
  type Deadlines,
  type Verification,
} from '../src/verify/index.js';
import { readInput, type ToolInput } from './authenticate.js';
import type {
  Activities,
  Approved,
  AuthorizedAction,
  CapturePostStateInput,
  Done,
  Enforced,
  PostState,
} from './contract.js';
import type { Dependencies } from './deps.js';
import { openReport } from './effect-reports.js';
import { lookUpEffect } from './look-up.js';
import { capture, keep, recall, type Captured } from './snapshots.js';
import { sealedProposal, StepRun, workflowIdentity } from './step.js';

/** An expectation that may take longer is awaited in a regular activity. Milliseconds, as in the workflow. */
const LOCAL_MAX_WAIT_MS = 2_000;

export async function capturePostState(
  { request, authorized, report }: CapturePostStateInput,
  deps: Dependencies,
): ReturnType<Activities['capturePostState']> {
  const run = new StepRun('capturePostState', request.proposal, deps);
  const proposal = sealedProposal(request);
  const taskQueue = deps.tools.get(proposal.tool)?.taskQueue;
  if (taskQueue !== undefined && taskQueue !== deps.taskQueue) return { kind: 'other_task_queue', taskQueue };

  const effectReport = openReport(report, run);
  if (effectReport.kind !== 'done' && effectReport.kind !== 'unknown')
    return run.seal<PostState>({ kind: 'not_made', error: effectReport.error });
  const made =
    effectReport.kind === 'done' ? effectReport : await findEffect(effectReport.error, request, authorized, deps);
  if (!('execution' in made)) return run.seal<PostState>(made);

  const { execution, startedAt } = made;
  const found = effectReport.kind === 'done' ? {} : { found: execution };
  if (authorized === undefined) return run.seal<PostState>({ kind: 'made_unverified', found: execution });
  const plan = planIn(authorized, run);
  const read = readInput(proposal, deps);
  const pre = await recall(workflowIdentity().tenant, plan.pre, deps);
  const reading = await readUntilExpected(
    { proposal, read, plan, pre, execution, startedAt },
    deadlinesFor(proposal, read, execution),
    deps,
  );
  return run.seal<PostState>({ kind: 'post_state', ...reading, ...found });
}

type Found = Pick<Done, 'execution' | 'startedAt'>;
type NotFound = { readonly kind: 'not_made' | 'unknown'; readonly error: ErrorView };

/**
 * Finds out whether the effect was made, when the report does not say. Sends are stopped first and the tool is asked
 * afterwards, so that no effect can begin in between. The tool's look-up must find an effect that is still in progress.
 */
async function findEffect(
  error: ErrorView,
  { proposal }: CapturePostStateInput['request'],
  authorized: AuthorizedAction | undefined,
  deps: Dependencies,
): Promise<Found | NotFound> {
  const { tenant, actionId } = workflowIdentity();
  await deps.ledger.grants.stopSends(tenant, actionId);
  const found = await lookUpEffect(proposal, idempotencyKey({ tenant, actionId }), deps);
  switch (found.happened) {
    case 'yes': {
      const since = authorized === undefined ? undefined : await openGrant(deps.keyring, authorized.grant);
      return {
        execution: found.execution,
        startedAt: since === undefined ? deps.ledger.clock.now().getTime() : since.iat * 1000,
      };
    }
    case 'no':
      return { kind: 'not_made', error };
    case 'unknown':
      return { kind: 'unknown', error: { ...error, message: `${error.message} (${found.reason})` } };
  }
}

function planIn({ enforced, approved, pre }: AuthorizedAction, run: StepRun): Plan {
  return planOf(
    run.open<Enforced>('enforce', enforced),
    pre,
    approved && run.open<Approved>('requestApproval', approved),
  );
}

interface Effect {
  readonly proposal: Proposal;
  readonly read: ToolInput;
  readonly plan: Plan;
  readonly pre: State;
  readonly execution: Execution;
  readonly startedAt: number;
}

interface Reading {
  readonly snapshot: Snapshot;
  readonly delta: ReturnType<typeof createDelta>;
  readonly unsampled?: string;
}

/** Reads the real system until the expectations hold or their deadlines have passed. */
async function readUntilExpected(
  effect: Effect,
  deadlines: Deadlines,
  deps: Dependencies,
): Promise<Reading & { readonly waited?: Readonly<Record<string, string>> }> {
  // Without deadlines the system is read once, and `verify` judges that reading.
  if (deadlines.longestMs === 0) return readingOf(effect, await readOnce(effect, deps), deps);
  const context = Context.current();
  const read = async () => {
    const captured = await readOnce(effect, deps);
    return { captured, checks: await checksOf(effect, captured, deps) };
  };
  if (context.info.isLocal && deadlines.longestMs > LOCAL_MAX_WAIT_MS) {
    const { captured, checks } = await read();
    if (allHold(checks)) return readingOf(effect, captured, deps);
    // It is waited for in a regular activity, off the workflow task.
    throw new CountersignError('EXPECTATION_UNMET', 'The system does not show the effect yet.');
  }
  const last = await awaitChecks(read, deadlines, {
    now: () => performance.now(),
    sleep: (ms) => {
      context.heartbeat();
      return context.sleep(ms);
    },
  });
  return { ...readingOf(effect, last.captured, deps), waited: waitedFor(last.checks, deadlines) };
}

/** The deadlines of the expectations, none of them before the system may show the effect. */
function deadlinesFor(proposal: Proposal, { tool, input }: ToolInput, execution: Execution): Deadlines {
  const { longestMs, own } = deadlinesOf(proposal);
  const settlesMs = tool.settlesWithinMs?.(input, execution) ?? 0;
  return {
    longestMs: Math.max(longestMs, settlesMs),
    own: new Map([...own].map(([name, ms]) => [name, Math.max(ms, settlesMs)])),
  };
}

function waitedFor(checks: readonly Check[], { own }: Deadlines): Readonly<Record<string, string>> {
  const waited = checks.filter(({ name, detail }) => detail !== undefined && (own.get(name) ?? 0) > 0);
  return Object.fromEntries(waited.map(({ name, detail = '' }) => [name, detail]));
}

async function readOnce(
  { proposal, read: { tool, input, actionType }, plan, pre, execution }: Effect,
  deps: Dependencies,
): Promise<Captured> {
  if (actionType === 'READ') return { state: {}, snapshot: EMPTY_SNAPSHOT };
  const options = { after: { pre, execution }, preview: plan.facts.preview };
  const captured = await capture(tool, input, options, Context.current().cancellationSignal);
  await keep({ proposal }, captured, deps);
  return captured;
}

function readingOf(
  { pre, startedAt }: Effect,
  { state, snapshot, unsampled }: Captured,
  { ledger }: Pick<Dependencies, 'ledger'>,
): Reading {
  const delta = createDelta(pre, state, ledger.clock.now().getTime() - startedAt);
  return { snapshot, delta, ...(unsampled === undefined ? {} : { unsampled }) };
}

async function checksOf(effect: Effect, captured: Captured, deps: Dependencies): Promise<readonly Check[]> {
  const { read, plan, pre, execution } = effect;
  const { snapshot, delta, unsampled } = readingOf(effect, captured, deps);
  return verifyEffect(
    verificationOf({ read, plan, pre, post: captured.state, snapshot, delta, unsampled, execution }, deps),
  );
}

/** The input of `verifyEffect`: everything that is compared with what was promised. */
export function verificationOf(
  observed: {
    readonly read: ToolInput;
    readonly plan: Plan;
    readonly pre: State;
    readonly post: State;
    readonly snapshot: Snapshot;
    readonly delta: Reading['delta'];
    readonly unsampled: string | undefined;
    readonly execution: Execution;
  },
  { verification, expectations: runner }: Pick<Dependencies, 'verification' | 'expectations'>,
): Verification<unknown> {
  const { read, plan, pre, post, snapshot, delta, unsampled, execution } = observed;
  const { tool, input, expect } = read;
  const before = plan.pre.sample;
  const after = unsampled === undefined ? { state: snapshot.sample ?? {} } : { problem: unsampled };
  return {
    tool,
    input,
    preview: plan.facts.preview,
    pre,
    post,
    delta,
    execution,
    ...(expect === undefined ? {} : { expect }),
    constraints: plan.decision.constraints,
    invariants: verification?.invariants.get(tool.name),
    sample: before === undefined ? undefined : { before, after },
    runner,
  };
}
