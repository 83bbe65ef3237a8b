/** Determines from a response, or from a failure, what happened. */
import { CountersignError, type CountersignErrorOptions } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { bodyOf, BrokenBody } from '../../http/body.js';
import type { Execution } from '../tool.js';
import type { Operation } from './operation.js';
import { at } from './pointer.js';
import type { Validate } from './schema.js';
import type { Secrets } from '../../http/secrets.js';
import { LONGEST_STATED_MS, retryAfter } from '../../http/retry-after.js';
import { WireFailure, type Answer } from '../../http/wire.js';

export interface ResponseContext {
  /** The request, for people: `POST /refunds on payments`. */
  readonly what: string;
  readonly secrets: Secrets;
  readonly bodyBytes: number;
  /** The longest Retry-After that is waited for. Milliseconds. */
  readonly longestWaitMs: number;
}

/** The result of `execute`, which CEL expressions read as `result`. */
export interface HttpResult extends JsonObject {
  readonly status: number;
  readonly body: Json;
}

/** The result of a repeated DELETE whose object was gone: an earlier attempt may have deleted it, and the probes show whether it is. */
interface GoneResult extends HttpResult {
  readonly gone: true;
}

/** What a service says of an effect. */
interface ClaimedEffect {
  readonly result: HttpResult | GoneResult;
  readonly parts?: NonNullable<Execution['parts']>;
}

/** The service, or a proxy in front of it, refuses the request for now. Nothing was done. */
const RETRY_LATER: ReadonlySet<number> = new Set([408, 425, 429]);
/** The request should be sent elsewhere. Nothing was done. */
const REDIRECTED: ReadonlySet<number> = new Set([307, 308]);

/**
 * The result of a read.
 *
 * @throws CountersignError TOOL_UNAVAILABLE (retryable) or TOOL_FAILED
 */
export async function resultOfRead(
  response: Answer,
  validate: Validate | undefined,
  context: ResponseContext,
  errors?: readonly string[],
): Promise<HttpResult> {
  const { status } = response;
  if (status >= 500 || RETRY_LATER.has(status)) throw await unavailable(response, context);
  if (status < 200 || status > 299) throw await refused(response, context);
  try {
    const result = await validResult(response, validate, context);
    const found = errorsIn(result, errors);
    if (found !== undefined) throw failed(`${context.what} was answered with errors: ${found}.`);
    return result;
  } catch (error) {
    if (!(error instanceof BrokenBody)) throw error;
    throw failed(`${context.what} was answered, but ${context.secrets.strike(error.message)}.`);
  }
}

/** Whether the response to a read says that the object does not exist. */
export function isAbsent({ status }: Answer): boolean {
  return status === 404 || status === 410;
}

/** The error for a read without a response. A retry can help, except when the address is forbidden. */
export function readFailure(thrown: unknown, context: Pick<ResponseContext, 'what' | 'secrets'>): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  if (!(thrown instanceof WireFailure)) throw thrown;
  const why = context.secrets.strike(thrown.message);
  if (thrown.code === 'FORBIDDEN_ADDRESS') return forbidden(context.what, why);
  if (thrown.code === 'BODY_TOO_LARGE') return failed(`${context.what} cannot be read: ${why}.`);
  return new CountersignError('TOOL_UNAVAILABLE', `${context.what} got no answer: ${why}.`, { retryable: true });
}

/**
 * The result of an effect. `isRepeated`: an earlier attempt may have had it.
 *
 * @throws CountersignError STATE_CHANGED, TOOL_FAILED or TOOL_UNAVAILABLE: nothing was done; EFFECT_UNKNOWN
 */
export async function resultOfEffect(
  response: Answer,
  operation: Operation,
  context: ResponseContext,
  isRepeated = false,
): Promise<ClaimedEffect> {
  const { status } = response;
  if (isRepeated && operation.method === 'DELETE' && isAbsent(response)) {
    return { result: { status, body: null, gone: true } };
  }
  if (operation.meansNotDone.has(status)) throw await refused(response, context);
  if (status >= 200 && status <= 299) {
    try {
      return claimed(await validResult(response, operation.response, context), operation, context);
    } catch (error) {
      if (error instanceof CountersignError) throw error;
      const why = error instanceof Error ? context.secrets.strike(error.message) : 'it cannot be read';
      throw unknown(`${context.what} was answered with ${status}, but ${why}.`);
    }
  }
  if (RETRY_LATER.has(status)) throw await unavailable(response, context);
  if (status === 503 && response.headers['retry-after'] !== undefined) throw await unavailable(response, context);
  if (status === 412 && operation.ifMatch) {
    throw new CountersignError('STATE_CHANGED', `${context.what}: the state changed since it was captured.`);
  }
  if (operation.idempotency === 'native' && (await isAboutTheKey(response, context))) {
    throw unknown(
      `${context.what} was answered with ${status}: the key stands for a request that may have had an effect.`,
    );
  }
  if ((status >= 400 && status <= 499) || REDIRECTED.has(status)) throw await refused(response, context);
  throw unknown(`${context.what} was answered with ${status}${await serviceMessage(response, context)}.`, {
    retryAfterMs: retryAfter(response, LONGEST_STATED_MS),
  });
}

/**
 * A 2xx, unless it has errors in it. Without other data nothing was done; with some, part of the effect may have been made.
 *
 * @throws CountersignError TOOL_FAILED
 */
function claimed(result: HttpResult, { errors }: Operation, { what }: ResponseContext): ClaimedEffect {
  const found = errorsIn(result, errors);
  if (found === undefined) return { result };
  if (isBlank(at(result.body, ['data']))) throw failed(`${what} was answered with errors: ${found}.`);
  return { result, parts: [{ name: 'response', done: false, detail: `it has errors: ${found}` }] };
}

/** The errors in a body, as a text; undefined when there are none. */
function errorsIn({ body }: HttpResult, errors: readonly string[] | undefined): string | undefined {
  const found = errors === undefined ? undefined : at(body, errors);
  if (isBlank(found)) return undefined;
  const words = Array.isArray(found) ? found.map((one: Json) => at(one, ['message']) ?? one) : [found];
  return words
    .map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
    .join('; ')
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .slice(0, 300);
}

/** Whether a value holds nothing but nulls. */
function isBlank(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && Object.values(value).every((member: Json) => isBlank(member));
}

/** Whether the service still processes a request with the same key (draft-ietf-httpapi-idempotency-key-header, section 2.6). */
export function isInProgress({ status }: Answer, { idempotency, meansNotDone }: Operation): boolean {
  return status === 409 && idempotency === 'native' && !meansNotDone.has(409);
}

/** The error for an effect without a response. It depends on whether the request was written. */
export function effectFailure(thrown: unknown, context: Pick<ResponseContext, 'what' | 'secrets'>): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  if (!(thrown instanceof WireFailure)) throw thrown;
  const why = context.secrets.strike(thrown.message);
  if (thrown.sent) return unknown(`${context.what} was sent, but has no answer: ${why}.`);
  if (thrown.code === 'FORBIDDEN_ADDRESS') return forbidden(context.what, why);
  return new CountersignError('TOOL_UNAVAILABLE', `${context.what} was not sent: ${why}.`, { retryable: true });
}

/** `retryAfterMs`: when a request under the same key is of use, as the service says. */
export function unknown(
  message: string,
  { retryAfterMs }: Pick<CountersignErrorOptions, 'retryAfterMs'> = {},
): CountersignError {
  return new CountersignError('EFFECT_UNKNOWN', message, {
    fix: 'Look at the service; the state before is in the record.',
    retryAfterMs,
  });
}

async function validResult(
  response: Answer,
  validate: Validate | undefined,
  context: ResponseContext,
): Promise<HttpResult> {
  const body = await bodyOf(response, context.bodyBytes);
  const [problem] = validate?.(body) ?? [];
  if (problem !== undefined) {
    throw new BrokenBody(
      `its body does not fit the response schema: ${['body', ...problem.path].join('.')} ${problem.message}`,
    );
  }
  return { status: response.status, body: context.secrets.strikeJson(body) };
}

/** Whether the error is about the key, so that there was an earlier request: 409 is "in progress", 422 "another payload" or a bad body. */
async function isAboutTheKey(response: Answer, context: ResponseContext): Promise<boolean> {
  if (response.status === 409) return true;
  return response.status === 422 && /idempoten/i.test(await serviceMessage(response, context));
}

async function refused(response: Answer, context: ResponseContext): Promise<CountersignError> {
  return failed(`${context.what} was refused with ${response.status}${await serviceMessage(response, context)}.`);
}

async function unavailable(response: Answer, context: ResponseContext): Promise<CountersignError> {
  const retryAfterMs = retryAfter(response, LONGEST_STATED_MS);
  return new CountersignError(
    'TOOL_UNAVAILABLE',
    `${context.what} was put off with ${response.status}${await serviceMessage(response, context)}.`,
    // Nobody waits for longer than an action may be sent at all: then it ends, and says when to come again.
    { retryable: (retryAfterMs ?? 0) <= context.longestWaitMs, retryAfterMs },
  );
}

function failed(message: string): CountersignError {
  return new CountersignError('TOOL_FAILED', message, { fix: "Read the service's own message; correct the input." });
}

function forbidden(what: string, why: string): CountersignError {
  return new CountersignError('TOOL_FAILED', `${what} was not sent: ${why}.`, {
    field: 'allow',
    expected: 'a public address, or one that the config allows',
    fix: "If it is meant, allow it in the tool's config: allow.networks or allow.loopback.",
  });
}

/** The error message of the service (RFC 9457 if possible), on one line. */
export async function serviceMessage(response: Answer, { secrets, bodyBytes }: ResponseContext): Promise<string> {
  const body = await bodyOf(response, bodyBytes).catch(() => null);
  const members = typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as JsonObject) : {};
  const texts = ['type', 'title', 'detail', 'code', 'error', 'message'].flatMap((name) => {
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    return typeof value === 'string' ? [value] : [];
  });
  const text = typeof body === 'string' ? body : texts.join('; ');
  // Secrets are removed before the text is cut, because half a secret must not leak either.
  const line = secrets
    .strike(text)
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 300);
  return line === '' ? '' : ` (${line})`;
}
