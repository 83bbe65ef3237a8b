/** What an answer, or its absence, says of what happened. */
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { bodyOf, BrokenBody } from '../../http/body.js';
import type { Operation } from './operation.js';
import type { Validate } from './schema.js';
import type { Secrets } from '../../http/secrets.js';
import { retryAfter } from '../../http/retry-after.js';
import { WireFailure, type Answer } from '../../http/wire.js';

export interface AnswerContext {
  /** For people: `POST /refunds on payments`. */
  readonly what: string;
  readonly secrets: Secrets;
  readonly bodyBytes: number;
  /** The longest that a Retry-After is obeyed, milliseconds. */
  readonly retryAfterMs: number;
}

/** What `execute` returns as its result, and CEL sees as `result`. */
export interface HttpResult extends JsonObject {
  readonly status: number;
  readonly body: Json;
}

/** Not now: the service says so, or something between us and it does. Nobody has acted on the request. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);
/** The request was not acted on; it was to be sent elsewhere. */
const TURNED_AWAY: ReadonlySet<number> = new Set([307, 308]);

/**
 * The result of a read.
 *
 * @throws CountersignError TOOL_UNAVAILABLE (retryable) or TOOL_FAILED
 */
export async function resultOfRead(
  answer: Answer,
  validate: Validate | undefined,
  context: AnswerContext,
): Promise<HttpResult> {
  const { status } = answer;
  if (status >= 500 || LATER.has(status)) throw await unavailable(answer, context);
  if (status < 200 || status > 299) throw await refused(answer, context);
  try {
    return await fitting(answer, validate, context);
  } catch (error) {
    if (!(error instanceof BrokenBody)) throw error;
    throw failed(`${context.what} was answered, but ${context.secrets.strike(error.message)}.`);
  }
}

/** Whether the answer to a read says that there is no such thing. */
export function isAbsent({ status }: Answer): boolean {
  return status === 404 || status === 410;
}

/** A read that got no answer can be tried again; one whose address is forbidden is no use. */
export function readFailure(thrown: unknown, context: Pick<AnswerContext, 'what' | 'secrets'>): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  if (!(thrown instanceof WireFailure)) throw thrown;
  const why = context.secrets.strike(thrown.message);
  if (thrown.code === 'FORBIDDEN_ADDRESS') return forbidden(context.what, why);
  if (thrown.code === 'BODY_TOO_LARGE') return failed(`${context.what} cannot be read: ${why}.`);
  return new CountersignError('TOOL_UNAVAILABLE', `${context.what} got no answer: ${why}.`, { retryable: true });
}

/**
 * The result of an effect.
 *
 * @throws CountersignError STATE_CHANGED, TOOL_FAILED or TOOL_UNAVAILABLE: nothing was done; EFFECT_UNKNOWN
 */
export async function resultOfEffect(
  answer: Answer,
  operation: Operation,
  context: AnswerContext,
): Promise<HttpResult> {
  const { status } = answer;
  if (operation.meansNotDone.has(status)) throw await refused(answer, context);
  if (status >= 200 && status <= 299) {
    try {
      return await fitting(answer, operation.response, context);
    } catch (error) {
      const why = error instanceof Error ? context.secrets.strike(error.message) : 'it cannot be read';
      throw unknown(`${context.what} was answered with ${status}, but ${why}.`);
    }
  }
  if (LATER.has(status)) throw await unavailable(answer, context);
  if (status === 503 && answer.headers['retry-after'] !== undefined) throw await unavailable(answer, context);
  if (status === 412 && operation.ifMatch) {
    throw new CountersignError('STATE_CHANGED', `${context.what}: the state changed since it was captured.`);
  }
  if (operation.idempotency === 'native' && (await isAboutTheKey(answer, context))) {
    throw unknown(
      `${context.what} was answered with ${status}: the key stands for a request that may have had an effect.`,
    );
  }
  if ((status >= 400 && status <= 499) || TURNED_AWAY.has(status)) throw await refused(answer, context);
  throw unknown(`${context.what} was answered with ${status}${await said(answer, context)}.`);
}

/** Whether the service says that it is still at work on the same key (draft-ietf-httpapi-idempotency-key-header, section 2.6). */
export function isInProgress({ status }: Answer, { idempotency, meansNotDone }: Operation): boolean {
  return status === 409 && idempotency === 'native' && !meansNotDone.has(409);
}

/** No answer to an effect: what counts is whether the request was written. */
export function effectFailure(thrown: unknown, context: Pick<AnswerContext, 'what' | 'secrets'>): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  if (!(thrown instanceof WireFailure)) throw thrown;
  const why = context.secrets.strike(thrown.message);
  if (thrown.sent) return unknown(`${context.what} was sent, but has no answer: ${why}.`);
  if (thrown.code === 'FORBIDDEN_ADDRESS') return forbidden(context.what, why);
  return new CountersignError('TOOL_UNAVAILABLE', `${context.what} was not sent: ${why}.`, { retryable: true });
}

export function unknown(message: string): CountersignError {
  return new CountersignError('EFFECT_UNKNOWN', message, {
    fix: 'Look at the service; the state before is in the record.',
  });
}

async function fitting(answer: Answer, validate: Validate | undefined, context: AnswerContext): Promise<HttpResult> {
  const body = await bodyOf(answer, context.bodyBytes);
  const [problem] = validate?.(body) ?? [];
  if (problem !== undefined) {
    throw new BrokenBody(
      `its body does not fit the response schema: ${['body', ...problem.path].join('.')} ${problem.message}`,
    );
  }
  return { status: answer.status, body: context.secrets.strikeJson(body) };
}

/** 409 is "in progress" and 422 "another payload": both mean that there was an earlier request. A 422 may also be about the body. */
async function isAboutTheKey(answer: Answer, context: AnswerContext): Promise<boolean> {
  if (answer.status === 409) return true;
  return answer.status === 422 && /idempoten/i.test(await said(answer, context));
}

async function refused(answer: Answer, context: AnswerContext): Promise<CountersignError> {
  return failed(`${context.what} was refused with ${answer.status}${await said(answer, context)}.`);
}

async function unavailable(answer: Answer, context: AnswerContext): Promise<CountersignError> {
  const retryAfterMs = retryAfter(answer, context.retryAfterMs);
  return new CountersignError(
    'TOOL_UNAVAILABLE',
    `${context.what} was put off with ${answer.status}${await said(answer, context)}.`,
    { retryable: true, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
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

/** The service's own words (RFC 9457 first), on one line. */
async function said(answer: Answer, { secrets, bodyBytes }: AnswerContext): Promise<string> {
  const body = await bodyOf(answer, bodyBytes).catch(() => null);
  const members = typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as JsonObject) : {};
  const texts = ['type', 'title', 'detail', 'code', 'error', 'message'].flatMap((name) => {
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    return typeof value === 'string' ? [value] : [];
  });
  const text = typeof body === 'string' ? body : texts.join('; ');
  // Struck out before it is cut: half a secret is one too.
  const line = secrets
    .strike(text)
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 300);
  return line === '' ? '' : ` (${line})`;
}
