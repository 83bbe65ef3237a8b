/** Makes an effect: checks again that the state is the one that was captured, sends the request, and reports what is known afterwards. */
import { LONGEST_STATED_MS, retryAfter } from '../../http/retry-after.js';
import { setTimeout as delay } from 'node:timers/promises';
import type { Constraint } from '../../action/decision.js';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { digest } from '../../action/json.js';
import { Sends } from '../sends.js';
import type { ExecuteContext, Execution } from '../tool.js';
import {
  effectFailure,
  isInProgress,
  resultOfEffect,
  unknown,
  type ResponseContext,
} from './response-classification.js';
import { followJob } from './accepted.js';
import { keyHeader, withKey } from './idempotency-key.js';
import type { HttpInput } from './input.js';
import { lookUpEffect } from './look-up.js';
import type { Operation } from './operation.js';
import { withRest } from './pages.js';
import { probe } from './probe.js';
import { contextOf, readOperation, requestOf, within, type OperationRequest, type Service } from './service.js';
import { WireFailure, type Answer } from '../../http/wire.js';

/** How often a running call says that it goes on. Below every heartbeat timeout. Milliseconds. */
const HEARTBEAT_MS = 1_000;

/**
 * Makes the effect. A request that certainly had no effect is sent again in here, within the bound on sends: from outside, a second
 * attempt cannot be distinguished from one after an effect.
 *
 * @throws CountersignError as `Tool.execute` says. After an earlier attempt that may have reached the service, only a response proves
 *   that nothing was done, so every other failure is EFFECT_UNKNOWN then.
 */
export async function execute(
  service: Service,
  operation: Operation,
  input: HttpInput,
  context: ExecuteContext,
): Promise<Execution> {
  context.heartbeat();
  checkRows(context);
  const { limits, sends } = service;
  const most = limit(context.constraints, 'timeoutMs') ?? Infinity;
  const call: Call = {
    context,
    end: performance.now() + Math.min(most, limits.totalMs + sends.withinMs),
    triedForMs: Math.min(most, limits.totalMs),
    longestMs: most,
    sends: context.sends ?? Sends.ofOneCall(sends),
  };
  const pulse = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  try {
    if (operation.actionType === 'READ') {
      const signal = within(service, context.signal, call.triedForMs);
      const { result, response, url } = await readOperation(service, operation, input, signal);
      return { result: withRest(service, result, response, url) };
    }
    return await sendUntilAnswered(service, operation, input, call);
  } finally {
    clearInterval(pulse);
  }
}

/** One call of `execute`. It may try several times, with pauses in between. */
interface Call {
  readonly context: ExecuteContext;
  /** When the call must be over, by `performance.now()`. */
  readonly end: number;
  /** How long one try may take. Milliseconds. */
  readonly triedForMs: number;
  /** How long policy lets it take at most. Milliseconds. */
  readonly longestMs: number;
  readonly sends: Sends;
}

async function sendUntilAnswered(
  service: Service,
  operation: Operation,
  input: HttpInput,
  call: Call,
): Promise<Execution> {
  const { context, sends } = call;
  for (;;) {
    try {
      const ready = await prepare(service, operation, input, call);
      if ('result' in ready) return ready;
      return await makeEffect(service, operation, input, ready, call);
    } catch (thrown) {
      const error = asCountersignError(thrown, 'EFFECT_UNKNOWN');
      if (error.code === 'EFFECT_UNKNOWN') throw error;
      if (context.retried === true) {
        const message = `An earlier attempt may have had an effect, and this one says nothing of it: ${error.message}`;
        throw unknown(message, error);
      }
      if (!error.retryable) throw error;
      const pauseMs = sends.pauseAfter(error);
      if (pauseMs === undefined) throw sends.over(error);
      if (!(await paused(pauseMs, call))) throw error;
    }
  }
}

/** Waits. Returns false when the wait does not fit into the call. */
async function paused(ms: number, { context, end }: Call): Promise<boolean> {
  if (performance.now() + ms >= end) return false;
  return await delay(ms, true, { signal: context.signal }).catch(() => false);
}

/** A signal that aborts when the time of one try is over, or of the call. */
function oneTry(service: Service, { context, end, triedForMs }: Call): AbortSignal {
  return within(service, context.signal, Math.max(1, Math.ceil(Math.min(triedForMs, end - performance.now()))));
}

/** Prepares the request, or returns the execution when it turns out to have happened. It sends only reads. */
async function prepare(
  service: Service,
  operation: Operation,
  input: HttpInput,
  call: Call,
): Promise<OperationRequest | Execution> {
  const { idempotencyKey, preDigest, retried = false } = call.context;
  const signal = oneTry(service, call);
  const request = requestOf(operation, input, service.client.base, (body) =>
    withKey(body, idempotencyKey, service.key),
  );
  const keyed: OperationRequest = {
    ...request,
    headers: { ...request.headers, ...keyHeader(idempotencyKey, service.key) },
  };
  if (retried && isForgotten(operation, call)) return await findInstead(service, operation, input, call);
  const { state, etag } = await probe(service, operation, input, undefined, signal);
  if (digest(state) !== preDigest) return (await changedByUs(service, operation, input, call)) ?? keyed;
  if (!operation.ifMatch) return keyed;
  if (etag !== undefined) return { ...keyed, headers: { ...keyed.headers, 'if-match': etag } };
  throw new CountersignError('TOOL_FAILED', `${service.tool} gave no strong entity tag for ${operation.url.path}.`, {
    field: `operations.${operation.name}.ifMatch`,
    expected: 'a strong ETag in the answer to the probe',
    fix: 'Leave ifMatch out, or have the service send one.',
  });
}

/**
 * Finds out whether it was our own effect that changed the state: returns it, or undefined when the request is to be sent again. The key
 * makes the service return its first response then, and the probes verify it.
 *
 * @throws CountersignError STATE_CHANGED
 */
async function changedByUs(
  service: Service,
  operation: Operation,
  input: HttpInput,
  call: Call,
): Promise<Execution | undefined> {
  const { idempotencyKey, retried = false } = call.context;
  const { idempotency, lookUp, target } = operation;
  if (idempotency !== 'none') {
    const found = await lookUpEffect(service, lookUp, idempotencyKey, input, oneTry(service, call));
    if (found.happened === 'yes') return idempotency === 'native' ? undefined : found.execution;
    if (found.happened === 'unknown' && idempotency === 'native' && retried) return undefined;
    // It is certain that no attempt had an effect. The state is not the one that was granted, so none may have one any more.
    if (found.happened === 'no') call.sends.close();
  }
  throw new CountersignError('STATE_CHANGED', `The state of ${target} changed since it was captured.`);
}

/** Whether the service may no longer know the key, so that the same request could have another effect. */
function isForgotten({ keyLifetimeMs }: Operation, { sends }: Call): boolean {
  return keyLifetimeMs !== undefined && sends.sinceFirstMs > keyLifetimeMs;
}

/** What is known of an earlier attempt, when the request may not be sent again. @throws CountersignError TOOL_FAILED, EFFECT_UNKNOWN */
async function findInstead(service: Service, operation: Operation, input: HttpInput, call: Call): Promise<Execution> {
  const { idempotencyKey } = call.context;
  const found = await lookUpEffect(service, operation.lookUp, idempotencyKey, input, oneTry(service, call));
  if (found.happened === 'yes') return found.execution;
  call.sends.close();
  throw unknown(`${service.tool} may have forgotten the idempotency key; the request is not sent again.`);
}

async function makeEffect(
  service: Service,
  operation: Operation,
  input: HttpInput,
  request: OperationRequest,
  call: Call,
): Promise<Execution> {
  const about = contextOf(service, operation.method, operation.url);
  for (;;) {
    const response = await send(service, request, about, call);
    if (!isInProgress(response, operation)) {
      return await executionOf(service, operation, input, response, call);
    }
    const stated = { retryAfterMs: retryAfter(response, LONGEST_STATED_MS) };
    const pauseMs = call.sends.pauseAfter(stated);
    if (pauseMs === undefined || !(await paused(pauseMs, call)) || isForgotten(operation, call)) {
      throw unknown(`${about.what} is still in progress under this key.`, stated);
    }
  }
}

/** What a response came to, with the job that it names. */
async function executionOf(
  service: Service,
  operation: Operation,
  input: HttpInput,
  response: Answer,
  { context, sends, longestMs }: Call,
): Promise<Execution> {
  const { accepted } = operation;
  const about = contextOf(service, operation.method, operation.url);
  const execution = await resultOfEffect(response, operation, about, context.retried);
  if (response.status !== 202 || accepted === undefined) return execution;
  try {
    const { result } = execution;
    const withinMs = Math.min(accepted.withinMs, longestMs);
    const job = { operation, accepted: { ...accepted, withinMs }, input, response, result };
    return await followJob(service, job, context.signal);
  } catch (thrown) {
    // The service has the request. Sent again, it would be another one, or this one for another time.
    sends.close();
    throw unknown(asCountersignError(thrown).message);
  }
}

async function send(service: Service, request: OperationRequest, about: ResponseContext, call: Call): Promise<Answer> {
  const { sends } = call;
  try {
    return await service.client.send(request, oneTry(service, call), () => sends.begin());
  } catch (error) {
    if (error instanceof WireFailure && !error.sent) sends.unsent();
    throw effectFailure(error, about);
  }
}

/** Refuses the effect when the preview counted more rows than a constraint allows. @throws CountersignError CONSTRAINT_VIOLATED */
export function checkRows({ constraints, rows }: ExecuteContext): void {
  const most = limit(constraints, 'maxRows');
  if (most === undefined || rows <= most) return;
  throw new CountersignError('CONSTRAINT_VIOLATED', `The action changes ${rows} objects.`, {
    expected: `at most ${most}, as policy demands`,
    fix: 'Name fewer in the input.',
  });
}

/** The smallest value of a constraint, over all policies. */
export function limit(constraints: readonly Constraint[], name: string): number | undefined {
  const values = constraints.filter((one) => one.name === name).map(({ value }) => Number(value));
  return values.length === 0 ? undefined : Math.min(...values);
}
