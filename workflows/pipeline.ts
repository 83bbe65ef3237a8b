/** The steps of an action, each of which is an activity of the same name. */
import type {
  Activities,
  Approved,
  AuthorizedAction,
  EffectReport,
  Enforced,
  Granted,
  PostState,
  PreState,
  Proposed,
  Refused,
  Sealed,
  SettleInput,
  Stopped,
  VerifyInput,
} from '../activities/contract.js';
import { cannotRecord } from '../src/action/cannot-record.js';
import type { ErrorView } from '../src/action/errors.js';
import { expectedWithinMs } from '../src/action/expect.js';
import { planOf } from '../src/action/grant.js';
import type { Outcome } from '../src/action/outcome.js';
import { EMPTY_DELTA, EMPTY_SNAPSHOT } from '../src/action/snapshot.js';
import type { Action } from './action.js';
import { errorView } from './failures.js';
import { AlreadyRecorded, Ends, LooksAgain } from './interruptions.js';
import { effect, local, onTaskQueue, waiting } from './steps.js';
import { summaryOf } from './temporal-ui.js';

/** How often a grant that was no longer valid at the instant of the effect is asked for anew. */
const MAX_LAPSED_GRANTS = 2;

/** An expectation that may take longer than this is awaited in a regular activity, off the workflow task. Milliseconds. */
const LONG_EXPECTATION_MS = 2_000;

/** What `authorize` granted, and how long it may take. */
export type Authorization = AuthorizedAction & Pick<Granted, 'timeoutMs' | 'answersCancellation'>;

/** What `execute` came to. Without a seal where the activity itself was lost. */
type Report = EffectReport & { readonly seal?: string };

/** Who proposes what, and what it would touch. */
export async function propose(action: Action): Promise<Sealed<Proposed>> {
  action.enter('preparing');
  action.stopIfCancelled();
  const step = action.taskQueue === undefined ? local.propose : onTaskQueue(action.taskQueue).propose;
  const proposed = await step(action.request);
  if (proposed.kind === 'other_task_queue') {
    action.taskQueue = proposed.taskQueue;
    throw new LooksAgain();
  }
  if (proposed.kind === 'refused') throw refused(action, proposed);
  action.did(
    'propose',
    proposed,
    `${proposed.preview.summary} on \`${proposed.tool.name}\` (${proposed.tool.environment})`,
  );
  action.proposed = proposed;
  return proposed;
}

/** Whether policy and limits let it be done. */
export async function enforce(action: Action, proposed: Sealed<Proposed>): Promise<Sealed<Enforced>> {
  const { request, maxWaitOver } = action;
  const enforced = await local.enforce({ request, proposed, maxWaitOver });
  switch (enforced.kind) {
    case 'refused':
      throw refused(action, enforced);
    case 'ended':
      throw new AlreadyRecorded(enforced.outcome);
    case 'queued':
      action.did(
        'enforce',
        enforced,
        `waits for ${enforced.inVain === undefined ? 'room' : 'earlier actions'}: ${enforced.reason}`,
      );
      await action.waitForRoom(enforced);
      throw new LooksAgain();
    case 'enforced': {
      const { effect: verdict, policies, reason } = enforced.decision;
      const by = policies.length === 0 ? '' : ` by ${policies.join(', ')}`;
      action.did('enforce', enforced, verdict === 'allow' ? `allowed${by}` : `people are asked: ${reason}`);
      action.enforced = enforced;
      return enforced;
    }
  }
}

/** The state that the action can change. A read changes nothing. */
export async function capturePreState(
  action: Action,
  proposed: Sealed<Proposed>,
): Promise<Sealed<PreState> | undefined> {
  if (proposed.actionType === 'READ') return undefined;
  const { request, taskQueue } = action;
  const step = taskQueue === undefined ? local.capturePreState : onTaskQueue(taskQueue).capturePreState;
  const captured = await step({ request, proposed });
  if (captured.kind === 'refused') throw refused(action, captured);
  action.did(
    'capturePreState',
    captured,
    `${counted(captured.snapshot.count, 'row or object', 'rows or objects')}, \`${captured.snapshot.digest}\``,
  );
  action.pre = captured;
  return captured;
}

/** Waits for the people whom policy asks for, if it asks for any. */
export async function requestApproval(
  action: Action,
  enforced: Sealed<Enforced>,
  pre: Sealed<PreState> | undefined,
): Promise<Sealed<Approved> | undefined> {
  if (enforced.decision.effect !== 'require_approval') return undefined;
  const { request, tokens, withoutStandingApprovals } = action;
  const answer = await local.requestApproval({ request, enforced, pre, tokens, withoutStandingApprovals });
  switch (answer.kind) {
    case 'refused':
      throw refused(action, answer);
    case 'ended':
      throw new AlreadyRecorded(answer.outcome);
    case 'pending':
      await action.waitForPeople(answer);
      throw new LooksAgain();
    case 'approved': {
      const by = answer.approvals.map(({ approver }) => approver);
      action.did('requestApproval', answer, `approved by ${[...new Set(by)].join(', ')}`);
      return answer;
    }
  }
}

/** The gate: room is taken, the grant is signed. */
export async function authorize(
  action: Action,
  records: {
    readonly enforced: Sealed<Enforced>;
    readonly pre: Sealed<PreState> | undefined;
    readonly approved: Sealed<Approved> | undefined;
  },
): Promise<Authorization> {
  action.stopIfCancelled();
  const { request, lastLook } = action;
  const granted = await local.authorize({ request, ...records, lastLook });
  switch (granted.kind) {
    case 'refused':
      throw refused(action, granted);
    case 'ended':
      throw new AlreadyRecorded(granted.outcome);
    case 'look_again':
      action.looksAgain(granted.because);
      throw new LooksAgain();
    case 'granted':
      action.did('authorize', granted, 'granted');
      action.granted = granted;
      return authorizationOf(records, granted);
  }
}

function authorizationOf(
  { enforced, pre, approved }: Parameters<typeof authorize>[1],
  { grant, timeoutMs, answersCancellation }: Granted,
): Authorization {
  return {
    enforced,
    pre: pre?.snapshot ?? EMPTY_SNAPSHOT,
    ...(approved === undefined ? {} : { approved }),
    grant,
    timeoutMs,
    ...(answersCancellation === undefined ? {} : { answersCancellation }),
  };
}

/** The effect, once. */
export async function execute(action: Action, authorization: Authorization): Promise<Report> {
  const { enforced, grant, timeoutMs, answersCancellation = false } = authorization;
  action.stopIfCancelled();
  action.enter('executing');
  const { taskQueue } = action;
  const run = effect({ taskQueue, timeoutMs, summary: summaryOf(enforced.facts), answersCancellation });
  let report: Report;
  try {
    report = await action.cancellable.run(() => run(action.request.proposal, grant));
  } catch (failure) {
    report = lost(failure, action);
  }
  action.did('execute', report, report.kind === 'done' ? 'done' : `${report.kind}: ${report.error.message}`);
  if (report.kind === 'grant_lapsed' && action.attempts.length < MAX_LAPSED_GRANTS && !action.cancelRequested) {
    action.attempts.push(report as Sealed<EffectReport>);
    if (report.retryAfterMs !== undefined) await action.pause(report.retryAfterMs);
    throw new LooksAgain();
  }
  return report;
}

/** No report came back: the worker died on every attempt, or time ran out. Whether it happened must be found out. */
function lost(failure: unknown, { cancelRequested }: Action): Report {
  const error = errorView(failure);
  const unknown = cancelRequested ? 'CANCELLED' : 'EFFECT_UNKNOWN';
  return {
    kind: 'unknown',
    error: { ...error, code: error.code === 'INTERNAL' ? unknown : error.code },
    at: 0,
    tookMs: 0,
  };
}

/** The real system, once the effect may have been made. Undefined where it was not, or the system is out of reach for too long. */
export async function capturePostState(
  action: Action,
  authorized: AuthorizedAction | undefined,
  report: Report,
): Promise<Sealed<PostState> | undefined> {
  action.enter('verifying');
  if (report.kind !== 'done' && report.kind !== 'unknown') return undefined;
  if (report.kind === 'done' && authorized?.enforced.facts.actionType === 'READ') return undefined;
  const { request } = action;
  const input = { request, report, ...(authorized === undefined ? {} : { authorized }) };
  const long = expectedWithinMs(request.proposal) > LONG_EXPECTATION_MS;
  try {
    let post = await finish(
      action.taskQueue !== undefined || long ? undefined : () => local.capturePostState(input),
      () => waiting.capturePostState(action.taskQueue)(input),
    );
    if (post.kind === 'other_task_queue') post = await waiting.capturePostState(post.taskQueue)(input);
    if (post.kind === 'other_task_queue') return undefined;
    action.did(
      'capturePostState',
      post,
      post.kind === 'post_state' ? counted(post.delta.operations, 'change', 'changes') : post.kind,
    );
    return post;
  } catch {
    return undefined;
  }
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Whether the real system holds what was promised. The receipt is signed. */
export async function verify(
  action: Action,
  { authorized, report, post }: { authorized?: AuthorizedAction; report: Report; post: Sealed<PostState> | undefined },
  instead?: SettleInput,
): Promise<Outcome> {
  const { request, attempts, steps } = action;
  const input: VerifyInput = {
    request,
    report,
    attempts,
    steps,
    named: action.named,
    ...(authorized === undefined ? {} : { authorized }),
    ...(post === undefined ? {} : { post }),
    ...(instead === undefined ? {} : { instead }),
  };
  const concluded = await finish(
    () => local.verify(input),
    () => waiting.verify(input),
  );
  switch (concluded.kind) {
    case 'complete':
      return concluded.outcome;
    case 'verified':
      if (authorized === undefined) throw new TypeError('Only what was authorized can be verified.');
      return completed(action, concluded.ending, { ...input, authorized });
    case 'effect_possible':
      return findOut(action, report, authorized);
  }
}

/** Without an effect of this run: denied, expired or cancelled. */
export async function settle(action: Action, ending: Sealed<Refused> | Stopped): Promise<Outcome> {
  action.enter('verifying');
  const { request, enforced, pre, attempts, steps } = action;
  const input: SettleInput = {
    request,
    ending,
    attempts,
    steps,
    named: action.named,
    ...(enforced === undefined ? {} : { enforced }),
    ...(pre === undefined ? {} : { pre }),
  };
  const away = ending.kind === 'step_failed' && cannotRecord(ending.error.code) ? ending.error : undefined;
  const concluded = await finish(away === undefined ? () => local.settle(input) : undefined, (failure = away) => {
    // An agent need not wait for the ledger: it is told that nothing could be recorded, and may ask again.
    if (failure !== undefined && cannotRecord(failure.code)) action.cannotRecord(failure);
    return waiting.settle(input);
  });
  if (concluded.kind === 'complete') return concluded.outcome;
  const error: ErrorView = {
    code: 'EFFECT_UNKNOWN',
    message: 'An earlier run of the action may have made the effect.',
  };
  return findOut(action, { kind: 'unknown', error, at: 0, tookMs: 0 }, undefined, input);
}

/** An earlier run used a grant of this action: whether that made the effect is found out before anything is recorded. */
async function findOut(
  action: Action,
  report: Report,
  authorized: AuthorizedAction | undefined,
  instead?: SettleInput,
): Promise<Outcome> {
  const error = report.kind === 'done' ? UNKNOWN : report.error;
  const unknown: Report = { kind: 'unknown', error, at: 0, tookMs: 0 };
  const post = await capturePostState(action, authorized, unknown);
  const known = { report: post === undefined ? unknown : report, post };
  return verify(action, { ...known, ...(authorized && { authorized }) }, instead);
}

const UNKNOWN: ErrorView = { code: 'EFFECT_UNKNOWN', message: 'It is not known whether the effect was made.' };

/** The one way to finish: in this worker, and where the ledger or the tool's system is away, as a regular activity that waits. */
function finish<Result>(
  here: (() => Promise<Result>) | undefined,
  wait: (failure?: ErrorView) => Promise<Result>,
): Promise<Result> {
  return here === undefined ? wait() : here().catch((failure: unknown) => wait(errorView(failure)));
}

function refused(action: Action, record: Sealed<Refused>): Ends {
  action.did(record.step, record, `refused: ${record.error.message}`);
  return new Ends(record);
}

/** The outcome, with what history has already from the steps before. */
function completed(
  { request, tenant, actionId }: Action,
  ending: Extract<Awaited<ReturnType<Activities['verify']>>, { kind: 'verified' }>['ending'],
  { authorized, report, post }: VerifyInput & { readonly authorized: AuthorizedAction },
): Outcome {
  const { status, reason, error, checks, receipt, ...rest } = ending;
  const compared = status === 'success' || status === 'mismatch';
  const seen = post?.kind === 'post_state' ? post : { snapshot: EMPTY_SNAPSHOT, delta: EMPTY_DELTA, found: undefined };
  const execution = report.kind === 'done' ? report.execution : seen.found;
  const { facts, decision, approvals, pre } = planOf(authorized.enforced, authorized.pre, authorized.approved);
  // In the order in which the story is told: the Temporal UI shows it so.
  return {
    status,
    reason,
    ...(error === undefined ? {} : { error }),
    tenant,
    actionId,
    tool: request.proposal.tool,
    decision,
    approvals,
    pre,
    ...(compared ? { post: seen.snapshot, delta: seen.delta } : {}),
    checks,
    ...(execution === undefined || !(compared || report.kind === 'done') ? {} : { result: execution.result }),
    ...(receipt === undefined ? {} : { receipt }),
    facts,
    proposalDigest: request.digest,
    ...rest,
  };
}
