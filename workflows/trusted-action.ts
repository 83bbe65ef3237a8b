/** One agent action, from proposal to verified outcome. Its history is the audit trail. */
import { CancellationScope, allHandlersFinished, condition, setHandler } from '@temporalio/workflow';
import type { ActionRequest, Concluded, Conclusion, Prepared, Report, Truth } from '../activities/contract.js';
import type { ErrorView } from '../src/action/errors.js';
import type { Plan } from '../src/action/grant.js';
import { expectedWithinMs } from '../src/action/expect.js';
import type { CompensationRef, Outcome } from '../src/action/outcome.js';
import { MAX_SUMMARY } from '../src/temporal.js';
import { Action } from './action.js';
import { startCompensation } from './children.js';
import { errorView } from './failures.js';
import { newsSignal } from './messages.js';
import { headline } from './surface.js';
import { durableConclude, effect, local, remotePrepare } from './steps.js';

/** How often a grant that no longer held at the instant of the effect is asked for anew. */
const MAX_VOID_GRANTS = 3;

/** An expectation that may take longer than this is awaited in a regular activity, off the workflow task. Milliseconds. */
const LONG_EXPECTATION_MS = 2_000;

/** How long an action waits to tell what became of undoing it. */
const UNDOING_TOLD_MS = 10_000;

type Granted = Extract<Prepared, { kind: 'granted' }>;

/**
 * Workflow id: `<tenant>/<actionId>`. Always returns an outcome: a refusal, a failure and a cancellation are outcomes too.
 *
 * Nothing in here is cancelled by the workflow's cancellation but the effect itself: whatever was begun is brought to a truth.
 */
export function trustedAction(request: ActionRequest): Promise<Outcome> {
  const action = new Action(request);
  return CancellationScope.nonCancellable(() => bringToItsEnd(action));
}

async function bringToItsEnd(action: Action): Promise<Outcome> {
  const ended = await run(action);
  const outcome = wantsUndoing(action, ended) ? await undone(action, ended) : ended;
  const farewell = action.end(outcome);
  if (farewell !== undefined) await farewell;
  if (!allHandlersFinished()) await condition(allHandlersFinished);
  return outcome;
}

function wantsUndoing({ request }: Action, { status }: Outcome): boolean {
  return status === 'mismatch' && request.proposal.onMismatch === 'compensate';
}

/** Told with the outcome when it is quickly done. What takes longer, people most of all, goes on without the action. */
async function undone({ request, tenant }: Action, outcome: Outcome): Promise<Outcome> {
  const { proposal } = request;
  let compensation: CompensationRef = { status: 'running' };
  setHandler(newsSignal, ({ waits }) => {
    if (waits) compensation = { status: 'needs_person' };
  });
  const undoing = await startCompensation({ tenant, proposal });
  const told = async (undoing: NonNullable<Awaited<ReturnType<typeof startCompensation>>>): Promise<void> => {
    const { status, actionId } = await undoing.result();
    compensation = { status, ...(actionId === undefined ? {} : { actionId }) };
  };
  // One that is ended from outside has told nothing.
  if (undoing !== undefined) told(undoing).catch(() => {});
  await condition(() => compensation.status !== 'running', UNDOING_TOLD_MS);
  return { ...outcome, compensation };
}

/** The sandbox pays for every promise, so the steps hand on those of their activities and make none of their own. */
async function run(action: Action): Promise<Outcome> {
  for (let voided = 0; ;) {
    // propose ─ enforce ─ capture ─ authorize
    let prepared: Prepared;
    try {
      prepared = await prepare(action);
    } catch (failure) {
      return refuse(action, failure);
    }
    switch (prepared.kind) {
      case 'ended':
        return prepared.outcome;
      case 'elsewhere':
        action.taskQueue = prepared.taskQueue;
        continue;
      case 'queued': {
        const stopped = await action.waitForRoom(prepared);
        if (stopped === undefined) continue;
        const { facts, decision } = prepared;
        return conclude(action, { report: stopped, decided: { facts, decision } });
      }
      case 'pending': {
        const stopped = await action.waitForPeople(prepared);
        if (stopped === undefined) continue;
        return conclude(action, { report: stopped, plan: prepared.plan, approvals: action.tokens });
      }
      case 'granted':
        break;
    }

    let report: Report;
    try {
      report = action.cancelRequested ? stopped() : await execute(action, prepared);
    } catch (failure) {
      report = lost(failure);
    }
    if (report.kind === 'void' && ++voided < MAX_VOID_GRANTS && !action.cancelRequested) {
      if (report.retryAfterMs !== undefined) await action.pause(report.retryAfterMs * 2 ** voided);
      continue;
    }

    // capture ─ verify ─ settle
    if (report.kind === 'concluded') return whole(action, report.concluded, prepared.plan);
    const { plan, grant, steps } = prepared;
    return conclude(action, { report, plan, grant, ...(steps === undefined ? {} : { steps }) });
  }
}

function prepare(action: Action): Promise<Prepared> {
  const { request, tokens, taskQueue, patienceOver } = action;
  action.enter('preparing');
  const step = taskQueue === undefined ? local.prepare : remotePrepare(taskQueue);
  return patienceOver ? step(request, tokens, { patienceOver }) : step(request, tokens);
}

/** Nothing can be decided, so the answer is no. */
async function refuse(action: Action, failure: unknown): Promise<Outcome> {
  const report: Truth = { kind: 'stopped', status: 'denied', error: errorView(failure) };
  // The agent need not wait for the ledger: it hears the answer now, and the receipt follows when the ledger is back.
  if (report.error.code === 'LEDGER_UNAVAILABLE') action.answer(unrecorded(action, report.error));
  return whole(action, await durableConclude(undefined, { patient: true })({ request: action.request, report }));
}

function execute(action: Action, { plan, effect: options, grant }: Granted): Promise<Report> {
  action.enter('executing', plan.facts);
  const summary = headline(plan.facts).slice(0, MAX_SUMMARY);
  return action.cancellable.run(() => effect(action.taskQueue, options, summary)(action.request.proposal, grant));
}

function stopped(): Truth {
  return {
    kind: 'stopped',
    status: 'cancelled',
    error: { code: 'CANCELLED', message: 'Cancelled before the effect.' },
  };
}

/** No report came back: the worker died on every attempt, or time ran out. Whether it happened must be found out. */
function lost(failure: unknown): Truth {
  const error = errorView(failure);
  return { kind: 'unknown', error: { ...error, code: error.code === 'INTERNAL' ? 'EFFECT_UNKNOWN' : error.code } };
}

async function conclude(action: Action, ending: Omit<Conclusion, 'request'>): Promise<Outcome> {
  action.enter('concluding');
  const conclusion: Conclusion = { request: action.request, ...ending };
  try {
    if (action.taskQueue === undefined && expectedWithinMs(action.request.proposal) <= LONG_EXPECTATION_MS) {
      return whole(action, await local.conclude(conclusion), ending.plan);
    }
  } catch {
    // The ledger or the tool's system is away: go on in an activity that can wait for it.
  }
  try {
    return whole(action, await durableConclude(action.taskQueue, { patient: false })(conclusion), ending.plan);
  } catch {
    return whole(
      action,
      await durableConclude(undefined, { patient: true })({ ...conclusion, withoutReading: true }),
      ending.plan,
    );
  }
}

function whole({ request, tenant, actionId }: Action, concluded: Concluded, plan?: Plan): Outcome {
  if (concluded.kind === 'whole') return concluded.outcome;
  const { digest: proposalDigest, proposal } = request;
  return { ...concluded.ending, ...(plan as Plan), tenant, actionId, proposalDigest, tool: proposal.tool };
}

function unrecorded({ request, tenant, actionId }: Action, error: ErrorView): Outcome {
  return {
    status: 'denied',
    reason: error.message,
    error,
    tenant,
    actionId,
    proposalDigest: request.digest,
    tool: request.proposal.tool,
    approvals: [],
    checks: [],
    steps: {},
  };
}
