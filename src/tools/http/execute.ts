/** Makes an effect: checks again that the state is the one that was captured, sends the request, and reports what is known afterwards. */
import { retryAfter } from '../../http/retry-after.js';
import { setTimeout as delay } from 'node:timers/promises';
import type { Constraint } from '../../action/decision.js';
import { asCountersignError, CountersignError } from '../../action/errors.js';
import { digest } from '../../action/json.js';
import type { ExecuteContext, Execution } from '../tool.js';
import {
  effectFailure,
  isInProgress,
  resultOfEffect,
  unknown,
  type ResponseContext,
} from './response-classification.js';
import { idempotencyKeyHeader } from './headers.js';
import type { HttpInput } from './input.js';
import { lookUpEffect } from './look-up.js';
import type { Operation } from './operation.js';
import { probe } from './probe.js';
import { contextOf, readOperation, requestOf, within, type OperationRequest, type Service } from './service.js';
import type { Answer } from '../../http/wire.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Makes the effect. A request that was certainly not sent is tried again here within the time, unless the key makes another attempt of the
 * whole step harmless: from outside, a second attempt cannot be distinguished from one after an effect.
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
  const ms = Math.min(limit(context.constraints, 'timeoutMs') ?? Infinity, service.limits.totalMs);
  const signal = within(service, context.signal, ms);
  const end = performance.now() + ms;
  if (operation.actionType === 'READ') return { result: await readOperation(service, operation, input, signal) };
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const ready = await prepare(service, operation, input, context, signal);
      if ('result' in ready) return ready;
      return await makeEffect(service, operation, ready, context, signal);
    } catch (thrown) {
      const error = asCountersignError(thrown, 'EFFECT_UNKNOWN');
      if (error.code === 'EFFECT_UNKNOWN') throw error;
      if (context.retried === true) {
        throw unknown(`An earlier attempt may have had an effect, and this one says nothing of it: ${error.message}`);
      }
      const wait = error.retryAfterMs ?? pause;
      const mayTryAgain = error.retryable && operation.idempotency !== 'native' && performance.now() + wait < end;
      if (!mayTryAgain || !(await slept(wait, signal))) throw error;
      context.heartbeat();
    }
  }
}

/** Waits. Returns false when the signal ended the wait early. */
async function slept(ms: number, signal: AbortSignal): Promise<boolean> {
  return await delay(ms, true, { signal }).catch(() => false);
}

/** Prepares the request, or returns the execution when it turns out to have happened. It sends only reads. */
async function prepare(
  service: Service,
  operation: Operation,
  input: HttpInput,
  context: ExecuteContext,
  signal: AbortSignal,
): Promise<OperationRequest | Execution> {
  const request = requestOf(operation, input, service.client.base);
  const key = { 'idempotency-key': idempotencyKeyHeader(context.idempotencyKey) };
  const keyed: OperationRequest = { ...request, headers: { ...request.headers, ...key } };
  const { state, etag } = await probe(service, operation, input, undefined, signal);
  if (digest(state) !== context.preDigest) {
    if (operation.idempotency !== 'none') {
      const found = await lookUpEffect(service, operation.lookUp, context.idempotencyKey, input, signal);
      // Our own effect changed the state, and the key makes the service return its first response again.
      if (found.happened === 'yes') return operation.idempotency === 'native' ? keyed : found.execution;
    }
    throw new CountersignError('STATE_CHANGED', `The state of ${operation.target} changed since it was captured.`);
  }
  if (!operation.ifMatch) return keyed;
  if (etag !== undefined) return { ...keyed, headers: { ...keyed.headers, 'if-match': etag } };
  throw new CountersignError('TOOL_FAILED', `${service.tool} gave no strong entity tag for ${operation.url.path}.`, {
    field: `operations.${operation.name}.ifMatch`,
    expected: 'a strong ETag in the answer to the probe',
    fix: 'Leave ifMatch out, or have the service send one.',
  });
}

async function makeEffect(
  service: Service,
  operation: Operation,
  request: OperationRequest,
  context: ExecuteContext,
  signal: AbortSignal,
): Promise<Execution> {
  const about = contextOf(service, operation.method, operation.url);
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    context.heartbeat();
    const response = await send(service, request, about, signal);
    if (!isInProgress(response, operation)) return { result: await resultOfEffect(response, operation, about) };
    if (!(await slept(retryAfter(response, LONGEST_PAUSE_MS) ?? pause, signal))) {
      throw unknown(`${about.what} is still in progress under this key.`);
    }
  }
}

async function send(
  service: Service,
  request: OperationRequest,
  about: ResponseContext,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    return await service.client.send(request, signal);
  } catch (error) {
    throw effectFailure(error, about);
  }
}

/** Refuses the effect when the preview counted more rows than a constraint allows. @throws CountersignError CONSTRAINT_VIOLATED */
function checkRows({ constraints, rows }: ExecuteContext): void {
  const most = limit(constraints, 'maxRows');
  if (most === undefined || rows <= most) return;
  throw new CountersignError('CONSTRAINT_VIOLATED', `The action changes ${rows} objects.`, {
    expected: `at most ${most}, as policy demands`,
    fix: 'Name fewer in the input.',
  });
}

/** The smallest value of a constraint, over all policies. */
function limit(constraints: readonly Constraint[], name: string): number | undefined {
  const values = constraints.filter((one) => one.name === name).map(({ value }) => Number(value));
  return values.length === 0 ? undefined : Math.min(...values);
}
