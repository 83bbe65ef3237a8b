/** What is known after a call has failed: whether the server can have had it, and whether it can be made again. */
import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import { CountersignError } from '../../action/errors.js';
import { callFailed, wordsOf, type About } from './result.js';

/** Errors of a connection that was never made. */
const UNSENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'FORBIDDEN_ADDRESS',
]);

/** Statuses after which the server has done nothing, and may do it later. A session that it forgot (404) is one of them. */
const LATER: ReadonlySet<number> = new Set([404, 408, 425, 429, 503]);

/** Whether the server did not answer at all, so that its connection may be good for nothing. */
export function isSilence(error: unknown): boolean {
  return (
    (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout) ||
    (error instanceof SdkHttpError && error.status === 404) ||
    (error instanceof Error && error.name === 'TimeoutError')
  );
}

/** Whether the server answered that it did not do it, or did not do all of it: only its state tells which. */
export function isAnswer(error: unknown): error is ProtocolError | SdkError {
  return (
    error instanceof ProtocolError || (error instanceof SdkError && error.code === SdkErrorCode.UnsupportedResultType)
  );
}

/** The error of a connection that could not be opened. Nothing was sent. */
export function connectFailure(thrown: unknown, about: About): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  const status = thrown instanceof SdkHttpError ? thrown.status : 0;
  const message = `${about.tool} cannot be reached${wordsOf(about, messageOf(thrown))}.`;
  if (status === 401 || status === 403) {
    const fix = 'Correct the credentials in the headers of the server.';
    return new CountersignError('TOOL_FAILED', message, { field: 'server.headers', fix });
  }
  return new CountersignError('TOOL_UNAVAILABLE', message, { retryable: true, cause: thrown });
}

/** The error of a read, which can be made again. */
export function readFailure(thrown: unknown, what: string, about: About): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  if (isAnswer(thrown) || isRefusal(thrown)) return callFailed(about, what, messageOf(thrown));
  const message = `${what} on ${about.tool} has no answer${wordsOf(about, messageOf(thrown))}.`;
  return new CountersignError('TOOL_UNAVAILABLE', message, { retryable: true, cause: thrown });
}

/** The error of an effect that has no answer. It depends on whether the call can have reached the server. */
export function effectFailure(thrown: unknown, what: string, about: About): CountersignError {
  if (thrown instanceof CountersignError) return thrown;
  const words = wordsOf(about, messageOf(thrown));
  if (isUnsent(thrown) || (thrown instanceof SdkHttpError && LATER.has(thrown.status))) {
    const message = `${what} on ${about.tool} was not done${words}.`;
    return new CountersignError('TOOL_UNAVAILABLE', message, { retryable: true, cause: thrown });
  }
  if (isRefusal(thrown)) return new CountersignError('TOOL_FAILED', `${what} on ${about.tool} was refused${words}.`);
  return effectUnknown(`${what} was sent to ${about.tool}, but has no answer${words}.`);
}

export function effectUnknown(message: string): CountersignError {
  return new CountersignError('EFFECT_UNKNOWN', message, {
    fix: 'Look at the server; the state before is in the record.',
  });
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof SdkHttpError && thrown.status >= 400 && thrown.status < 500 && !LATER.has(thrown.status);
}

/** Whether it is certain that nothing of the call left. */
export function isUnsent(thrown: unknown): boolean {
  if (thrown instanceof CountersignError) return true;
  if (thrown instanceof SdkError && thrown.code === SdkErrorCode.NotConnected) return true;
  for (let cause = thrown; cause instanceof Error; cause = cause.cause) {
    if (UNSENT.has((cause as NodeJS.ErrnoException).code ?? '')) return true;
  }
  return false;
}

/** The innermost words: what the outer ones wrap says `fetch failed`. */
function messageOf(thrown: unknown): string {
  let message = '';
  for (let cause = thrown; cause instanceof Error; cause = cause.cause) message = cause.message || message;
  return message;
}
