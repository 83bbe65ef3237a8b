/** Makes an effect: checks again that the state is the one that was captured, calls the tool, and reports what is known afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { digest } from '../../action/json.js';
import { timeoutSignal } from '../../timeout-signal.js';
import { checkRows, limit } from '../http/execute.js';
import { Sends, type SendBound } from '../sends.js';
import type { ExecuteContext, Execution } from '../tool.js';
import { effectFailure, effectUnknown, isAnswer, isUnsent } from './failure.js';
import { keyed, type McpInput } from './input.js';
import { lookUpEffect } from './look-up.js';
import { toolsOf, type DeclaredTool } from './declared-tool.js';
import { bounded, callFailed, textOf, wordsOf, type McpResult } from './result.js';
import { stateOf } from './state.js';
import type { Upstream } from './upstream.js';

/** How often a running call says that it goes on. Below every heartbeat timeout. Milliseconds. */
const HEARTBEAT_MS = 1_000;

/** The member of `_meta` with which the server gets the key of the action. */
const KEY_IN_META = 'countersign/idempotencyKey';

/** One call of `execute`. It may try several times, with pauses in between. */
interface Call {
  readonly upstream: Upstream;
  readonly operation: DeclaredTool;
  readonly input: McpInput;
  readonly context: ExecuteContext;
  readonly sends: Sends;
  /** When the call must be over, by `performance.now()`. */
  readonly end: number;
  /** How long one try may take. Milliseconds. */
  readonly triedForMs: number;
}

/** @throws CountersignError as `Tool.execute` says */
export async function execute(
  upstream: Upstream,
  bound: SendBound,
  operation: DeclaredTool,
  input: McpInput,
  context: ExecuteContext,
): Promise<Execution> {
  context.heartbeat();
  checkRows(context);
  const { callMs } = upstream.limits;
  const most = limit(context.constraints, 'timeoutMs') ?? Infinity;
  const call: Call = {
    upstream,
    operation,
    input,
    context,
    sends: context.sends ?? Sends.ofOneCall(bound),
    end: performance.now() + Math.min(most, callMs + bound.withinMs),
    triedForMs: Math.min(most, callMs),
  };
  const pulse = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  try {
    await upstream.assertUnchanged(toolsOf(operation), oneTry(call));
    return operation.actionType === 'READ' ? await read(call) : await callUntilAnswered(call);
  } finally {
    clearInterval(pulse);
  }
}

async function read(call: Call): Promise<Execution> {
  const { upstream, operation, input } = call;
  const { arguments: args = {} } = input;
  const { name, served } = operation;
  const signal = oneTry(call);
  const result = await (served?.read(upstream, args, signal) ?? upstream.callToRead(name, args, signal));
  if (result.isError === true) throw callFailed(upstream, operation.name, textOf(result));
  return { result: resultFor(upstream, result) };
}

async function callUntilAnswered(call: Call): Promise<Execution> {
  const { context, sends } = call;
  for (;;) {
    try {
      const found = await changedByUs(call);
      return found ?? (await callOnce(call));
    } catch (thrown) {
      const error = asCountersignError(thrown, 'EFFECT_UNKNOWN');
      if (error.code === 'EFFECT_UNKNOWN') throw error;
      if (context.retried === true) {
        throw effectUnknown(
          `An earlier attempt may have had an effect, and this one says nothing of it: ${error.message}`,
        );
      }
      if (!error.retryable) throw error;
      const pauseMs = sends.pauseAfter(error);
      if (pauseMs === undefined) throw sends.over(error);
      if (!(await paused(pauseMs, call))) throw error;
    }
  }
}

/**
 * Reads the state once more. Undefined when the tool is to be called; the execution when it turns out to have happened.
 *
 * @throws CountersignError STATE_CHANGED
 */
async function changedByUs(call: Call): Promise<Execution | undefined> {
  const { upstream, operation, input, context } = call;
  const { idempotencyKey: key, preDigest, retried = false } = context;
  const { idempotency, lookUp } = operation;
  const state = await stateOf(upstream, operation, input, undefined, oneTry(call));
  if (digest(state) === preDigest) return undefined;
  if (idempotency !== 'none') {
    const found = await lookUpEffect(upstream, { operation, lookUp, key, input }, oneTry(call));
    // The key makes the server return its first result, and the probes verify it.
    if (found.happened === 'yes') return idempotency === 'native' ? undefined : found.execution;
    if (found.happened === 'unknown' && idempotency === 'native' && retried) return undefined;
    // It is certain that no attempt had an effect. The state is not the one that was granted, so none may have one any more.
    if (found.happened === 'no') call.sends.close();
  }
  throw new CountersignError('STATE_CHANGED', `The state of ${operation.target} changed since it was captured.`);
}

async function callOnce(call: Call): Promise<Execution> {
  const { upstream, operation, input, context, sends } = call;
  const { name } = operation;
  const args = keyed(operation, input.arguments ?? {}, context.idempotencyKey);
  const timeoutMs = Math.max(1, Math.ceil(Math.min(call.triedForMs, call.end - performance.now())));
  // Nothing is sent for an action that was cancelled before.
  context.signal.throwIfAborted();
  await sends.begin();
  let result: McpResult;
  try {
    const meta = { [KEY_IN_META]: context.idempotencyKey };
    result = await upstream.call(name, args, { timeoutMs, signal: context.signal, meta });
  } catch (thrown) {
    if (isAnswer(thrown)) return await afterFailure(call, thrown.message);
    if (isUnsent(thrown)) sends.unsent();
    throw effectFailure(thrown, name, upstream);
  }
  if (result.isError === true) return await afterFailure(call, textOf(result));
  return { result: resultFor(upstream, result) };
}

/**
 * A server that says a call failed may have done some of it. Its state tells: where it is as it was, nothing was done; where it is not, that
 * is recorded as a part that was not done, so that the outcome is a mismatch with the server's words.
 *
 * @throws CountersignError TOOL_FAILED, EFFECT_UNKNOWN
 */
async function afterFailure({ upstream, operation, input, context }: Call, words: string): Promise<Execution> {
  const failed = callFailed(upstream, operation.name, words);
  if (context.retried === true) throw effectUnknown(`An earlier attempt may have had an effect: ${failed.message}`);
  let unchanged: boolean;
  try {
    const signal = timeoutSignal(context.signal, upstream.limits.callMs);
    unchanged = digest(await stateOf(upstream, operation, input, undefined, signal)) === context.preDigest;
  } catch (error) {
    const why = asCountersignError(error).message;
    throw effectUnknown(`${failed.message} What it did before cannot be seen: ${why}`);
  }
  if (unchanged) throw failed;
  const detail = `the server says that it failed${wordsOf(upstream, words)}`;
  return { result: { content: [], isError: true }, parts: [{ name: operation.name, done: false, detail }] };
}

function resultFor({ secrets, limits }: Upstream, result: McpResult): Execution['result'] {
  return secrets.strikeJson({ ...bounded(result, limits.resultBytes) });
}

/** Waits. Returns false when the wait does not fit into the call. */
async function paused(ms: number, { context, end }: Call): Promise<boolean> {
  if (performance.now() + ms >= end) return false;
  return await delay(ms, true, { signal: context.signal }).catch(() => false);
}

/** A signal that aborts when the time of one try is over, or of the call. */
function oneTry({ context, end, triedForMs }: Call): AbortSignal {
  return timeoutSignal(context.signal, Math.max(1, Math.ceil(Math.min(triedForMs, end - performance.now()))));
}
