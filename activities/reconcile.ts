/** Settles actions that were left behind: their workflow ended without an outcome, was terminated or is gone. */
import { Context } from '@temporalio/activity';
import { CountersignError, type ErrorView } from '../src/action/errors.js';
import type { HoldSettlement } from '../src/action/limits.js';
import type { Outcome, OutcomeStatus } from '../src/action/outcome.js';
import { OPEN_ACTIONS_PAGE, type OpenAction } from '../src/ledger/index.js';
import type { LookUp } from '../src/tools/tool.js';
import type { ActionCursor, Reconciled, ReconcileOptions } from './contract.js';
import type { Dependencies } from './deps.js';
import { idempotencyKey } from './execute.js';
import { holdsOf } from './limits.js';
import { sign, receiptStatementOf } from './record-outcome.js';

/** A workflow that has just begun is not asked about. Milliseconds. */
const OLDER_THAN_MS = 60_000;

/** How many are looked at in one run; the next goes on from there. A multiple of the ledger's page. */
const MOST = 1_000;

/** Questions to Temporal at once. */
const AT_ONCE = 8;

/** What a tool that cannot be asked, or is configured nowhere near, is waited for before a person has to decide. Milliseconds. */
const MAX_WAIT_MS = 60 * 60_000;

export async function reconcile(options: ReconcileOptions, deps: Dependencies): Promise<Reconciled> {
  const olderThanMs = options.olderThanMs ?? OLDER_THAN_MS;
  let { after } = options;
  let [seen, settled] = [0, 0];
  while (seen < MOST) {
    const from = { olderThanMs, ...(after === undefined ? {} : { after }) };
    const page = await deps.ledger.actions.listOpen(from);
    const left = await leftBehind(page, deps);
    if (left.length > 0) settled += await settleAll(left, from, deps);
    seen += page.length;
    after = cursorOf(page.at(-1));
    Context.current().heartbeat();
    if (page.length < OPEN_ACTIONS_PAGE) return { seen, settled };
  }
  return { seen, settled, ...(after === undefined ? {} : { after }) };
}

function cursorOf(last: OpenAction | undefined): ActionCursor | undefined {
  return last && { tenant: last.tenant, actionId: last.actionId, admittedAt: last.admittedAt };
}

/** Those whose workflow will not settle them. One that was reset runs again, under the same id. */
async function leftBehind(page: readonly OpenAction[], { workflows }: Dependencies): Promise<readonly OpenAction[]> {
  const left: OpenAction[] = [];
  for (let at = 0; at < page.length; at += AT_ONCE) {
    const some = page.slice(at, at + AT_ONCE);
    const states = await Promise.all(some.map(({ tenant, actionId }) => workflows.state(`${tenant}/${actionId}`)));
    left.push(...some.filter((_, i) => states[i] !== 'running'));
    Context.current().heartbeat();
  }
  return left;
}

/**
 * Their grants are void from now on, and only then it is read how many were used: no effect can begin after that. One that is still
 * running, in an activity whose workflow is gone, is found out by the tool's look-up.
 */
async function settleAll(
  left: readonly OpenAction[],
  page: Parameters<Dependencies['ledger']['actions']['listOpen']>[0],
  deps: Dependencies,
): Promise<number> {
  for (const { tenant, actionId } of left) await deps.ledger.grants.deleteUnused(tenant, actionId);
  const now = new Map((await deps.ledger.actions.listOpen(page)).map((action) => [nameOf(action), action]));
  let settled = 0;
  for (const { tenant, actionId } of left) {
    const action = now.get(nameOf({ tenant, actionId }));
    const truth = action && (await truthOf(action, deps));
    if (action !== undefined && truth !== undefined && (await settle(action, truth, deps))) settled++;
    Context.current().heartbeat();
  }
  return settled;
}

function nameOf({ tenant, actionId }: Pick<OpenAction, 'tenant' | 'actionId'>): string {
  return `${tenant}/${actionId}`;
}

interface Found {
  readonly status: OutcomeStatus;
  readonly error: ErrorView;
  readonly holds: HoldSettlement;
  readonly result?: Outcome['result'];
}

/** Undefined when it cannot be told yet, or is for another worker to tell. */
async function truthOf(action: OpenAction, deps: Dependencies): Promise<Found | undefined> {
  if (action.uses === 0) {
    return {
      status: 'cancelled',
      error: { code: 'CANCELLED', message: 'Its workflow was ended from outside, before any effect was begun.' },
      holds: holdsOf({ status: 'cancelled' }),
    };
  }
  const answer = await lookUp(action, deps);
  switch (answer?.happened) {
    case undefined:
      return undefined;
    case 'no':
      return {
        status: 'failed',
        error: { code: 'TOOL_FAILED', message: 'Its workflow was ended from outside, and the effect did not happen.' },
        holds: holdsOf({ status: 'failed', notAttempted: true }),
      };
    case 'yes':
      // Spent it is; but what it was to be compared with went with its workflow, so nobody can call it done.
      return {
        status: 'unknown',
        error: unknown('The effect was made, and its workflow ended from outside before it was verified.'),
        holds: { disposition: 'consume' },
        result: answer.execution.result,
      };
    case 'unknown':
      return {
        status: 'unknown',
        error: unknown(`Its workflow was ended from outside during the effect: ${answer.reason}`),
        holds: holdsOf({ status: 'unknown' }),
      };
  }
}

function unknown(message: string): ErrorView {
  return {
    code: 'EFFECT_UNKNOWN',
    message,
    fix: 'Look at the system itself, then say what you found: countersign resolve <action> --happened | --did-not-happen.',
  };
}

async function lookUp(action: OpenAction, { tools, taskQueue }: Dependencies): Promise<LookUp | undefined> {
  const tool = tools.get(action.tool);
  const waitedLong = Date.now() - Date.parse(action.admittedAt) > MAX_WAIT_MS;
  const givenUp = (reason: string): LookUp | undefined => (waitedLong ? { happened: 'unknown', reason } : undefined);
  if (tool === undefined) return givenUp(`no worker that was asked has the tool ${action.tool}.`);
  // Its own workers have a schedule of their own.
  if (tool.taskQueue !== undefined && tool.taskQueue !== taskQueue) return undefined;
  if (tool.lookUp === undefined) return { happened: 'unknown', reason: `the tool ${tool.name} cannot look it up.` };
  try {
    return await tool.lookUp(idempotencyKey(action), { signal: Context.current().cancellationSignal });
  } catch {
    return givenUp(`the tool ${tool.name} could not be asked.`);
  }
}

/** @returns whether it was: not when a grant was used since it was looked at */
async function settle(action: OpenAction, found: Found, deps: Dependencies): Promise<boolean> {
  const { tenant, actionId, digest: proposalDigest, tool, agent, environment } = action;
  const { status, error, holds, result } = found;
  const outcome: Outcome = {
    status,
    reason: error.message,
    error,
    tenant,
    actionId,
    proposalDigest,
    tool,
    approvals: [],
    checks: [],
    ...(result === undefined ? {} : { result }),
    steps: {},
  };
  const command = {
    ...receiptStatementOf(outcome, agent === null ? {} : { agent }),
    ...(environment === null ? {} : { environment }),
  };
  await deps.faults.at('reconcile.before-settle');
  const { kind } = await deps.ledger.receipts.settle({
    tenant,
    actionId,
    proposalDigest,
    outcome,
    holds,
    effectRuledOut: status === 'failed',
    sign: (link) => sign({ ...command, ...link }, deps),
  });
  await deps.faults.at('reconcile.after-settle');
  return kind === 'settled';
}

/** What is recorded of an action, whoever recorded it. @throws CountersignError NOT_FOUND */
export async function recordedOutcome(tenant: string, actionId: string, { ledger }: Dependencies): Promise<Outcome> {
  const record = await ledger.actions.find(tenant, actionId);
  if (record?.outcome !== undefined) return record.outcome;
  throw new CountersignError('NOT_FOUND', `The ledger has no outcome of action ${actionId}.`, { field: 'actionId' });
}
