/** Step 6, `execute`: makes the effect. A tool's `execute` is called only here, and only under a valid grant. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError, type ErrorCode } from '../src/action/errors.js';
import type { GrantClaims } from '../src/action/grant.js';
import { idempotencyKey } from '../src/action/idempotency-key.js';
import { assertJson, canonicalBytes } from '../src/action/json.js';
import type { Proposal } from '../src/action/proposal.js';
import type { Freeze } from '../src/action/freeze.js';
import { instant, type Instant, type Sends } from '../src/tools/sends.js';
import type { Execution, Idempotency, Tool } from '../src/tools/tool.js';
import { frozen } from './admit.js';
import type { Activities, EffectReport } from './contract.js';
import type { Dependencies } from './deps.js';
import { holderOf, sendsOf } from './counted-sends.js';
import { checkGrant, overtaken, passGate, type Passed } from './grant-gate.js';
import { heartbeating, StepRun, workflowIdentity } from './step.js';

/** The largest result that history carries. A larger one is left out; for a read, the action fails. */
const MAX_RESULT_BYTES = 256 * 1024;

/** An effect sends no heartbeat before this time. A heartbeat is a write in the server, and the activity's completion waits for it. */
const QUIET_MS = 1_000;

/** Errors after which nothing happened, and which a new grant may remove. */
const LAPSING: ReadonlySet<ErrorCode> = new Set(['GRANT_EXPIRED', 'STATE_CHANGED']);

export async function execute(
  proposal: Proposal,
  token: string,
  deps: Dependencies,
): ReturnType<Activities['execute']> {
  const run = new StepRun('execute', proposal, deps);
  return run.seal<EffectReport>(await report(proposal, token, deps));
}

async function report(untrusted: Proposal, token: string, deps: Dependencies): Promise<Report> {
  const since = instant();
  let passed: Passed | 'returned';
  let reachedLedger = false;
  try {
    const granted = await checkGrant(untrusted, token, deps);
    reachedLedger = true;
    passed = await heartbeating(() => passGate(granted, deps));
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    // This worker's tools may differ from those of an earlier attempt: only the ledger can tell that no effect was begun.
    if (!reachedLedger && Context.current().info.attempt > 1) return { kind: 'unknown', error: error.toJSON() };
    return { kind: LAPSING.has(error.code) ? 'grant_lapsed' : 'not_done', error: error.toJSON(), notAttempted: true };
  }
  const { activity: usedBy } = workflowIdentity();
  if (passed === 'returned') return { kind: 'grant_lapsed', error: unsent().toJSON(), usedBy };
  const made = await makeEffect(passed, since, deps);
  return made.kind === 'done' || made.kind === 'unknown' ? made : { ...made, usedBy };
}

/** An `EffectReport` before it is sealed, without its times. */
type Report = EffectReport extends infer One ? (One extends EffectReport ? Omit<One, 'at' | 'tookMs'> : never) : never;

async function makeEffect(passed: Passed, since: Instant, deps: Dependencies): Promise<Report> {
  const { tool, claims, input, tried, barred } = passed;
  const startedAt = deps.ledger.clock.now().getTime();
  // An earlier attempt may have reached the system. It is repeated only where that cannot make a second effect, and not when it is barred.
  const idempotency = tool.idempotencyOf?.(input) ?? tool.idempotency;
  if (tried && (idempotency !== 'native' || barred !== undefined)) {
    const found = await heartbeating(() => lookUpEarlier(tool, idempotency, input, claims, startedAt));
    if (found !== undefined) return found;
    if (barred !== undefined) return { kind: 'not_done', error: barred.toJSON(), notAttempted: true };
  }

  const context = Context.current();
  const watch = deps.freezes.begin(claims);
  const signal = AbortSignal.any([context.cancellationSignal, watch.signal]);
  const sends = sendsOf(passed, since, deps);
  const start = performance.now();
  try {
    await deps.faults.at('execute.before-effect');
    await sends.reserve();
    const execution = await tool.execute(input, {
      idempotencyKey: idempotencyKey(claims),
      preDigest: claims.preDigest,
      constraints: claims.constraints,
      rows: claims.rows,
      ...(claims.rehearsal === undefined ? {} : { rehearsal: claims.rehearsal }),
      retried: tried && idempotency === 'native',
      sends,
      signal,
      heartbeat: () => {
        if (performance.now() - start > QUIET_MS) context.heartbeat();
      },
    });
    await deps.faults.at('execute.after-effect');
    if (claims.actionType === 'READ') assertCarriable(execution.result);
    return { kind: 'done', execution: carriable(execution), startedAt };
  } catch (thrown) {
    const failure = asCountersignError(thrown, 'EFFECT_UNKNOWN');
    const movesOn = watch.freeze === undefined && isMovingOn();
    const error = movesOn && isOver(failure) ? elsewhere(failure) : failure;
    const aborted = signal.aborted && !movesOn;
    return await afterFailure(error, { claims, idempotency, tried, sends, aborted, freeze: watch.freeze }, deps);
  } finally {
    watch.end();
  }
}

/** An attempt to make the effect that failed. */
interface FailedAttempt {
  readonly claims: GrantClaims;
  readonly idempotency: Idempotency;
  readonly tried: boolean;
  readonly sends: Sends;
  readonly aborted: boolean;
  readonly freeze: Freeze | undefined;
}

async function afterFailure(error: CountersignError, attempt: FailedAttempt, deps: Dependencies): Promise<Report> {
  const { claims, idempotency, tried, sends, aborted } = attempt;
  const pauseMs = mayHaveHappened(error) || error.retryable ? sends.pauseAfter(error) : undefined;
  if (LAPSING.has(error.code) && sends.reserved) await discount(claims, deps);
  if (idempotency === 'native' || tried || aborted || !nothingSent(error)) return classify(error, pauseMs, attempt);
  if (error.retryable && pauseMs === undefined) return { kind: 'not_done', error: sends.over(error).toJSON() };
  return returnGrant(error, pauseMs, claims, deps);
}

/** A send that was counted and not made leaves its place to the next. Where the ledger is away, the action has one send less. */
async function discount({ tenant, actionId }: GrantClaims, { ledger }: Dependencies): Promise<void> {
  await ledger.grants.discountSend(tenant, actionId).catch(() => undefined);
}

/** Whether Temporal gives this attempt up for no reason of the action's, and makes another: its worker stops, or an operator paused or reset it. */
function isMovingOn(): boolean {
  const { cancellationDetails: details } = Context.current();
  if (details === undefined || details.cancelRequested) return false;
  return details.workerShutdown || details.paused || details.reset;
}

/** Whether the error says that nothing was done, and that no other attempt would do more. */
function isOver(error: CountersignError): boolean {
  return !mayHaveHappened(error) && !error.retryable && !LAPSING.has(error.code);
}

function elsewhere(cause: CountersignError): CountersignError {
  const message = `The attempt was interrupted before it did anything: ${cause.message}`;
  return new CountersignError('TOOL_UNAVAILABLE', message, { cause, retryable: true });
}

function mayHaveHappened({ code }: CountersignError): boolean {
  return code === 'EFFECT_UNKNOWN' || code === 'INTERNAL';
}

function nothingSent(error: CountersignError): boolean {
  return !mayHaveHappened(error) && (error.retryable || LAPSING.has(error.code));
}

/**
 * Returns the grant of an attempt that sent nothing. Another attempt under the same grant could not know that, and would have to report the
 * effect as unknown. So the ledger records it before any other attempt starts, and a new grant is requested. When the ledger cannot record
 * it, the action fails, because it is certain that nothing was sent.
 */
async function returnGrant(
  error: CountersignError,
  retryAfterMs: number | undefined,
  claims: GrantClaims,
  { ledger }: Dependencies,
): Promise<Report> {
  const view = error.toJSON();
  const holder = holderOf(claims);
  try {
    if (!(await ledger.grants.return(holder))) {
      // What this attempt knows says nothing of one that has taken over from it.
      if ((await ledger.grants.sendRefused(holder)) === 'overtaken')
        return { kind: 'unknown', error: overtaken().toJSON() };
      return { kind: 'not_done', error: view };
    }
  } catch {
    return { kind: 'not_done', error: view };
  }
  return { kind: 'grant_lapsed', error: view, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** The error of an attempt that died or was given up after it had recorded that it sent nothing. */
function unsent(): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', 'Nothing was sent under this grant.');
}

/** Looks up whether an earlier attempt made the effect. Returns undefined when it certainly did not and never will. */
async function lookUpEarlier(
  tool: Tool,
  idempotency: Idempotency,
  input: unknown,
  claims: GrantClaims,
  startedAt: number,
): Promise<Report | undefined> {
  const unknown: Report = {
    kind: 'unknown',
    error: { code: 'EFFECT_UNKNOWN', message: 'An earlier attempt may have reached the system; it is not sent again.' },
  };
  if (idempotency === 'none' || tool.lookUp === undefined) return unknown;
  const found = await tool.lookUp(idempotencyKey(claims), { signal: Context.current().cancellationSignal }, input);
  if (found.happened === 'yes') {
    return { kind: 'done', execution: found.execution, startedAt };
  }
  if (found.happened === 'no') return undefined;
  // An interrupted look-up found out nothing: the next attempt looks again.
  if (isMovingOn()) throw elsewhere(new CountersignError('EFFECT_UNKNOWN', found.reason));
  return unknown;
}

/** `pauseMs`: when the action may be sent again; undefined when it may not. */
function classify(
  error: CountersignError,
  pauseMs: number | undefined,
  { claims, idempotency, tried, sends, aborted, freeze }: FailedAttempt,
): Report {
  const view =
    freeze === undefined ? error.toJSON() : { ...frozen(freeze).toJSON(), message: stoppedBy(freeze, error) };
  if (mayHaveHappened(error)) {
    // The idempotency key makes a repetition safe, so another attempt finds out what happened.
    if (idempotency === 'native' && !aborted && pauseMs !== undefined) throw retryable(error, pauseMs);
    return { kind: 'unknown', error: view };
  }
  if (aborted) {
    const code = freeze === undefined ? 'CANCELLED' : 'FROZEN';
    return { kind: 'stopped', error: { ...view, code } };
  }
  if (error.retryable && pauseMs !== undefined) throw retryable(error, pauseMs);
  const last = error.retryable ? sends.over(error) : error;
  // That this attempt had no effect says nothing of an earlier one.
  const earlier = tried && idempotency === 'native' && claims.actionType !== 'READ';
  if (earlier && last.code === 'TOOL_UNAVAILABLE') return { kind: 'unknown', error: last.toJSON() };
  return { kind: LAPSING.has(last.code) ? 'grant_lapsed' : 'not_done', error: last.toJSON() };
}

function stoppedBy(freeze: Freeze, { message }: CountersignError): string {
  return `${frozen(freeze).message} It came while the effect ran: ${message}`;
}

function retryable(error: CountersignError, retryAfterMs: number): CountersignError {
  return new CountersignError(error.code, error.message, { cause: error, retryable: true, retryAfterMs });
}

/** Leaves out a result that history cannot carry. An effect that was made is reported whatever its tool returned. */
function carriable(execution: Execution): Execution {
  try {
    assertCarriable(execution.result);
    return execution;
  } catch (error) {
    const more = 'Read it from the system itself.';
    const omitted = asCountersignError(error).message;
    const result = { truncated: true, limitBytes: MAX_RESULT_BYTES, omitted, more };
    return { ...execution, result };
  }
}

function assertCarriable(result: unknown): void {
  assertJson(result, 'result');
  const bytes = canonicalBytes(result);
  if (bytes <= MAX_RESULT_BYTES) return;
  throw new CountersignError('TOOL_FAILED', `The result is ${bytes} bytes; at most ${MAX_RESULT_BYTES} are carried.`, {
    field: 'result',
    expected: `at most ${MAX_RESULT_BYTES} bytes`,
    fix: 'Ask for fewer rows or columns.',
  });
}
