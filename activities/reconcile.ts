/** Settles abandoned actions: their workflow ended without an outcome, was terminated or is gone. */
import { Context } from '@temporalio/activity';
import { CountersignError, type ErrorView } from '../src/action/errors.js';
import { idempotencyKey } from '../src/action/idempotency-key.js';
import { holdSettlementOf, type HoldSettlement } from '../src/action/limits.js';
import type { Outcome, OutcomeStatus } from '../src/action/outcome.js';
import { OPEN_ACTIONS_PAGE, type OpenAction } from '../src/ledger/index.js';
import type { LookUp } from '../src/tools/tool.js';
import type { ActionCursor, Reconciled, ReconcileOptions } from './contract.js';
import type { Dependencies } from './deps.js';
import { beginEdits } from './edits.js';
import { sign, receiptStatementOf } from './record-outcome.js';

/** Actions admitted more recently than this are left to their workflows. Milliseconds. */
const OLDER_THAN_MS = 60_000;

/** How many actions one run looks at. The next run continues after them. A multiple of the ledger's page size. */
const MAX_ACTIONS = 1_000;

/** How many requests to Temporal run at the same time. */
const CONCURRENT_REQUESTS = 8;

/** For how long an action waits for a tool that is unreachable or unknown to this worker, before a person has to decide. Milliseconds. */
const MAX_WAIT_MS = 60 * 60_000;

export async function reconcile(options: ReconcileOptions, deps: Dependencies): Promise<Reconciled> {
  const round = await settleAbandoned(options, deps);
  const edits = await beginEdits(options.olderThanMs ?? OLDER_THAN_MS, deps);
  return edits === 0 ? round : { ...round, edits };
}

async function settleAbandoned(options: ReconcileOptions, deps: Dependencies): Promise<Reconciled> {
  const olderThanMs = options.olderThanMs ?? OLDER_THAN_MS;
  let { after } = options;
  let [seen, settled] = [0, 0];
  while (seen < MAX_ACTIONS) {
    const from = { olderThanMs, ...(after === undefined ? {} : { after }) };
    const page = await deps.ledger.actions.listOpen(from);
    const abandoned = await abandonedOf(page, deps);
    if (abandoned.length > 0) settled += await settleAll(abandoned, from, deps);
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

/** The actions whose workflow will not settle them. A workflow that was reset runs again under the same id, and counts as running. */
async function abandonedOf(page: readonly OpenAction[], { workflows }: Dependencies): Promise<readonly OpenAction[]> {
  const abandoned: OpenAction[] = [];
  for (let at = 0; at < page.length; at += CONCURRENT_REQUESTS) {
    const batch = page.slice(at, at + CONCURRENT_REQUESTS);
    const states = await Promise.all(batch.map(({ tenant, actionId }) => workflows.state(`${tenant}/${actionId}`)));
    abandoned.push(...batch.filter((_, i) => states[i] !== 'running'));
    Context.current().heartbeat();
  }
  return abandoned;
}

/**
 * Settles abandoned actions, and returns how many. Their sends are stopped before the number of used grants is read, so that no
 * effect can begin in between. The tool's look-up must find an effect that still runs in an activity whose workflow is gone.
 */
async function settleAll(
  abandoned: readonly OpenAction[],
  page: Parameters<Dependencies['ledger']['actions']['listOpen']>[0],
  deps: Dependencies,
): Promise<number> {
  for (const { tenant, actionId } of abandoned) await deps.ledger.grants.stopSends(tenant, actionId);
  const current = new Map((await deps.ledger.actions.listOpen(page)).map((action) => [nameOf(action), action]));
  let settled = 0;
  for (const { tenant, actionId } of abandoned) {
    const action = current.get(nameOf({ tenant, actionId }));
    const ending = action && (await findEnding(action, deps));
    if (action !== undefined && ending !== undefined && (await settle(action, ending, deps))) settled++;
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

/** How the action ended. Undefined when that cannot be determined yet, or only by another worker. */
async function findEnding(action: OpenAction, deps: Dependencies): Promise<Found | undefined> {
  if (action.uses === 0) {
    return {
      status: 'cancelled',
      error: { code: 'CANCELLED', message: 'Its workflow was ended from outside, before any effect was begun.' },
      holds: holdSettlementOf({ status: 'cancelled' }),
    };
  }
  const found = await lookUp(action, deps);
  switch (found?.happened) {
    case undefined:
      return undefined;
    case 'no':
      return {
        status: 'failed',
        error: { code: 'TOOL_FAILED', message: 'Its workflow was ended from outside, and the effect did not happen.' },
        holds: holdSettlementOf({ status: 'failed', notAttempted: true }),
      };
    case 'yes':
      // The amounts are spent. But the records to verify the effect against were lost with the workflow, so it is not a success.
      return {
        status: 'unknown',
        error: unknown('The effect was made, and its workflow ended from outside before it was verified.'),
        holds: { disposition: 'consume' },
        result: found.execution.result,
      };
    case 'unknown':
      return {
        status: 'unknown',
        error: unknown(`Its workflow was ended from outside during the effect: ${found.reason}`),
        holds: holdSettlementOf({ status: 'unknown' }),
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

async function lookUp(action: OpenAction, { tools, taskQueue, ledger }: Dependencies): Promise<LookUp | undefined> {
  const tool = tools.get(action.tool);
  const waitedLong = ledger.clock.now().getTime() - Date.parse(action.admittedAt) > MAX_WAIT_MS;
  const unknownAfterMaxWait = (reason: string): LookUp | undefined =>
    waitedLong ? { happened: 'unknown', reason } : undefined;
  if (tool === undefined) return unknownAfterMaxWait(`no worker that was asked has the tool ${action.tool}.`);
  // The workers of its task queue have a schedule of their own.
  if (tool.taskQueue !== undefined && tool.taskQueue !== taskQueue) return undefined;
  if (tool.lookUp === undefined) return { happened: 'unknown', reason: `the tool ${tool.name} cannot look it up.` };
  const { cancellationSignal: signal } = Context.current();
  try {
    const found = await tool.lookUp(idempotencyKey(action), { signal });
    // An interrupted look-up found out nothing: the next round looks again.
    return signal.aborted && found.happened === 'unknown' ? undefined : found;
  } catch {
    return unknownAfterMaxWait(`the tool ${tool.name} could not be asked.`);
  }
}

/** Settles one action. @returns whether it was settled; it is not when a grant was used since the action was read */
async function settle(action: OpenAction, found: Found, deps: Dependencies): Promise<boolean> {
  const { tenant, actionId, digest: proposalDigest, tool, agent, environment } = action;
  const { status, error, holds, result } = found;
  const whole: Outcome = {
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
  const outcome = deps.redaction?.of(tenant, tool)?.outcome(whole) ?? whole;
  const statement = {
    ...receiptStatementOf(outcome, agent === null ? {} : { agent }, deps),
    ...(environment === null ? {} : { environment }),
  };
  await deps.faults.at('reconcile.before-settle');
  const { kind } = await deps.ledger.receipts.settle({
    tenant,
    actionId,
    proposalDigest,
    outcome,
    holds,
    // Whoever proposed it again meanwhile may have begun an effect that the look-up could not find.
    ...(status === 'failed' ? { effectRuledOut: true, usesRuledOut: action.usesInAll } : {}),
    sign: (link) => sign({ ...statement, ...link }, deps),
  });
  await deps.faults.at('reconcile.after-settle');
  return kind === 'settled';
}

/** The outcome recorded for an action, whoever recorded it. @throws CountersignError NOT_FOUND */
export async function recordedOutcome(tenant: string, actionId: string, { ledger }: Dependencies): Promise<Outcome> {
  const record = await ledger.actions.find(tenant, actionId);
  if (record?.outcome !== undefined) return record.outcome;
  throw new CountersignError('NOT_FOUND', `The ledger has no outcome of action ${actionId}.`, { field: 'actionId' });
}
