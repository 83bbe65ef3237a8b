/** Step 6, `execute`: the effect. Nothing reaches a tool's `execute` but through here, and nothing passes here without a grant. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError, type ErrorCode } from '../src/action/errors.js';
import type { GrantClaims } from '../src/action/grant.js';
import { assertJson, canonicalBytes, digest, type Digest } from '../src/action/json.js';
import type { Proposal } from '../src/action/proposal.js';
import type { Freeze } from '../src/action/freeze.js';
import type { Execution, Idempotency, Tool } from '../src/tools/tool.js';
import { frozen } from './admit.js';
import type { Activities, EffectReport } from './contract.js';
import type { Dependencies } from './deps.js';
import { checkGrant, passGate, type Passed } from './grant-gate.js';
import { StepRun, workflowIdentity } from './step.js';

/** A result is carried in history; a larger one is refused before it is returned. */
const MAX_RESULT_BYTES = 256 * 1024;

/** A heartbeat is a write in the server, which the activity's completion then waits for: an effect that is over sooner sends none. */
const QUIET_MS = 1_000;

/** When a system that was out of reach is tried again, unless it says itself. */
const OUT_OF_REACH_MS = 500;

/** Nothing happened, and the reason may be gone with a new grant. */
const LAPSING: ReadonlySet<ErrorCode> = new Set(['GRANT_EXPIRED', 'STATE_CHANGED']);

export async function execute(
  proposal: Proposal,
  token: string,
  deps: Dependencies,
): ReturnType<Activities['execute']> {
  const run = new StepRun('execute', digestOf(proposal), deps);
  return run.seal<EffectReport>(await report(proposal, token, deps));
}

async function report(untrusted: Proposal, token: string, deps: Dependencies): Promise<Report> {
  const startedAt = Date.now();
  let passed: Passed | 'returned';
  let asked = false;
  try {
    const granted = await checkGrant(untrusted, token, deps);
    asked = true;
    passed = await passGate(granted, deps);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    // This worker may know another time or other tools than the one that tried before: only the ledger can say that nothing was begun.
    if (!asked && Context.current().info.attempt > 1) return { kind: 'unknown', error: error.toJSON() };
    return { kind: LAPSING.has(error.code) ? 'grant_lapsed' : 'not_done', error: error.toJSON(), notAttempted: true };
  }
  const { activity: usedBy } = workflowIdentity();
  if (passed === 'returned') return { kind: 'grant_lapsed', error: unsent().toJSON(), usedBy };
  const made = await makeEffect(passed, startedAt, deps);
  return made.kind === 'done' || made.kind === 'unknown' ? made : { ...made, usedBy };
}

/** What was tried, before it is sealed. */
type Report = EffectReport extends infer One ? (One extends EffectReport ? Omit<One, 'at' | 'tookMs'> : never) : never;

/** Of what cannot be digested nothing can be executed either: `report` says why. */
function digestOf(untrusted: unknown): Digest {
  try {
    assertJson(untrusted, 'proposal');
    return digest(untrusted);
  } catch {
    return digest(null);
  }
}

async function makeEffect(
  { tool, claims, input, tried, barred }: Passed,
  startedAt: number,
  deps: Dependencies,
): Promise<Report> {
  // An earlier attempt may have left. It is repeated only where that cannot make a second effect, and not when it is barred.
  const idempotency = tool.idempotencyOf?.(input) ?? tool.idempotency;
  if (tried && (idempotency !== 'native' || barred !== undefined)) {
    const found = await lookUpEarlier(tool, idempotency, input, claims, startedAt);
    if (found !== undefined) return found;
    if (barred !== undefined) return { kind: 'not_done', error: barred.toJSON(), notAttempted: true };
  }

  const context = Context.current();
  const watch = deps.freezes.begin(claims);
  const signal = AbortSignal.any([context.cancellationSignal, watch.signal]);
  const start = performance.now();
  try {
    await deps.faults.at('execute.before-effect');
    const execution = await tool.execute(input, {
      idempotencyKey: idempotencyKey(claims),
      preDigest: claims.preDigest,
      constraints: claims.constraints,
      rows: claims.rows,
      retried: tried && idempotency === 'native',
      signal,
      heartbeat: () => {
        if (performance.now() - start > QUIET_MS) context.heartbeat();
      },
    });
    await deps.faults.at('execute.after-effect');
    if (claims.actionType === 'READ') assertCarriable(execution.result);
    return { kind: 'done', execution: carriable(execution), startedAt };
  } catch (thrown) {
    const error = asCountersignError(thrown, 'EFFECT_UNKNOWN');
    if (idempotency === 'none' && !signal.aborted && nothingSent(error)) return await returned(error, claims, deps);
    return classify(error, idempotency, signal.aborted, watch.freeze);
  } finally {
    watch.end();
  }
}

function nothingSent(error: CountersignError): boolean {
  if (error.code === 'EFFECT_UNKNOWN' || error.code === 'INTERNAL') return false;
  return error.retryable || LAPSING.has(error.code);
}

/**
 * Another attempt under this grant could not know that this one sent nothing, and must take the outcome for unknown. So it is recorded
 * before there is one, and a new grant is asked for. Where that fails, the action has failed: that much is certain.
 */
async function returned(error: CountersignError, claims: GrantClaims, { ledger }: Dependencies): Promise<Report> {
  const { jti, tenant, actionId } = claims;
  const view = error.toJSON();
  try {
    const recorded = await ledger.grants.return({ jti, tenant, actionId, usedBy: workflowIdentity().activity });
    if (!recorded) return { kind: 'not_done', error: view };
  } catch {
    return { kind: 'not_done', error: view };
  }
  const { retryable: again, retryAfterMs = OUT_OF_REACH_MS } = error;
  return { kind: 'grant_lapsed', error: view, ...(again ? { retryAfterMs } : {}) };
}

/** What an attempt says of itself that died, or was given up, after it had recorded that it sent nothing. */
function unsent(): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', 'Nothing was sent under this grant.', { retryable: true });
}

/** One key for all attempts of an action, and for no other. */
export function idempotencyKey({ tenant, actionId }: Pick<GrantClaims, 'tenant' | 'actionId'>): string {
  return `countersign:${tenant}/${actionId}`;
}

/** Asks the system whether an earlier attempt made the effect; undefined when it is certain that it did not and never will. */
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
  const answer = await tool.lookUp(idempotencyKey(claims), { signal: Context.current().cancellationSignal }, input);
  if (answer.happened === 'yes') {
    return { kind: 'done', execution: answer.execution, startedAt };
  }
  return answer.happened === 'no' ? undefined : unknown;
}

function classify(
  error: CountersignError,
  idempotency: Idempotency,
  told: boolean,
  freeze: Freeze | undefined,
): Report {
  const why = freeze === undefined ? error.toJSON() : { ...frozen(freeze).toJSON(), message: stoppedBy(freeze, error) };
  if (error.code === 'EFFECT_UNKNOWN' || error.code === 'INTERNAL') {
    // Where the key makes it one effect, trying again is how the truth is found.
    if (idempotency === 'native' && !told) throw retryable(error);
    return { kind: 'unknown', error: why };
  }
  if (told) {
    const code = freeze === undefined ? 'CANCELLED' : 'FROZEN';
    return { kind: 'stopped', error: { ...why, code } };
  }
  if (error.retryable) throw error;
  return { kind: LAPSING.has(error.code) ? 'grant_lapsed' : 'not_done', error: error.toJSON() };
}

function stoppedBy(freeze: Freeze, { message }: CountersignError): string {
  return `${frozen(freeze).message} It came while the effect ran: ${message}`;
}

function retryable(error: CountersignError): CountersignError {
  return new CountersignError(error.code, error.message, { cause: error, retryable: true });
}

/** An effect that was made is reported, whatever its tool returned: a result that cannot be carried is left out. */
function carriable(execution: Execution): Execution {
  try {
    assertCarriable(execution.result);
    return execution;
  } catch (error) {
    return { ...execution, result: { omitted: asCountersignError(error).message } };
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
