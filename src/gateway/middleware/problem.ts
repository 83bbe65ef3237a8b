/** Errors as HTTP tells them: problem+json (RFC 9457), and what of an error may be told outside. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { ZodError } from 'zod';
import { CountersignError, ERROR_CODES, type ErrorCode } from '../../action/errors.js';

export interface ProblemDocument {
  /** Where the code is explained. */
  readonly type: string;
  readonly title: string;
  readonly status: ContentfulStatusCode;
  readonly detail: string;
  /** Names this very request, as its log does. */
  readonly instance: string;
  readonly code: ErrorCode;
  readonly field?: string;
  readonly expected?: string;
  readonly fix?: string;
}

/** What is not listed is a fault of the system's, not of the request. */
const STATUS: Readonly<Partial<Record<ErrorCode, ContentfulStatusCode>>> = {
  INVALID_PROPOSAL: 400,
  INVALID_TEXT: 400,
  INVALID_NUMBER: 400,
  INVALID_JSON: 400,
  INVALID_INPUT: 400,
  INVALID_EXPECTATION: 400,
  INPUT_TOO_LARGE: 413,
  UNKNOWN_TOOL: 400,
  ACTION_CONFLICT: 409,
  AGENT_UNVERIFIED: 403,
  SCOPE_DENIED: 403,
  CREDENTIAL_REVOKED: 403,
  COMMAND_INVALID: 400,
  ROLE_REQUIRED: 403,
  APPROVAL_INVALID: 400,
  APPROVAL_FORBIDDEN: 403,
  APPROVAL_STALE: 409,
  APPROVAL_TOO_FAST: 429,
  PASSKEY_REQUIRED: 403,
  PASSKEY_INVALID: 403,
  CANARY_INVALID: 409,
  NOT_PENDING: 409,
  EDIT_INVALID: 409,
  NOT_UNKNOWN: 409,
  POLICY_DENIED: 403,
  FROZEN: 403,
  RADAR_OFF: 503,
  LIMIT_EXCEEDED: 403,
  HISTORY_CHANGED: 409,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  CSRF: 403,
  RATE_LIMITED: 429,
  NOT_FOUND: 404,
  // The action may have happened, and the gateway cannot say.
  EFFECT_UNKNOWN: 409,
  TIMED_OUT: 504,
  LEDGER_UNAVAILABLE: 503,
  LEDGER_BROKEN: 503,
  TEMPORAL_UNAVAILABLE: 503,
  POLICY_UNAVAILABLE: 503,
  TOOL_UNAVAILABLE: 503,
  TOOL_CHANGED: 409,
  PAYLOAD_KEY_UNKNOWN: 409,
  PAYLOAD_INVALID: 409,
};

export function statusOf(code: ErrorCode): ContentfulStatusCode {
  return STATUS[code] ?? 500;
}

/** What a body or a parameter that does not fit the API's document is refused with. */
const MALFORMED: ReadonlySet<ErrorCode> = new Set(['INVALID_JSON', 'INVALID_TEXT', 'INVALID_NUMBER']);

/**
 * 400 for what the API's document does not allow; 409 for what it allows and cannot be done, such as a time that is over. Whoever sends what
 * the document allows is never told that it is malformed.
 */
function statusFor(error: CountersignError): ContentfulStatusCode {
  const status = statusOf(error.code);
  if (status !== 400 || MALFORMED.has(error.code)) return status;
  return error.cause instanceof ZodError && error.cause.issues.some((issue) => !isSemantic(issue)) ? 400 : 409;
}

export function isApi(path: string): boolean {
  return path.startsWith('/v1/') || path.startsWith('/access/v1/');
}

/** Of a rule that no JSON Schema can say. */
function isSemantic(issue: ZodError['issues'][number]): boolean {
  return issue.code === 'custom' && issue.params?.['semantic'] === true;
}

/** Anything thrown at a path, as the error that is told. What HTTP itself refuses has no code of its own. */
export function refusalOf(thrown: unknown, path: string): { error: CountersignError; status: ContentfulStatusCode } {
  if (thrown instanceof CountersignError)
    return { error: thrown, status: isApi(path) ? statusFor(thrown) : statusOf(thrown.code) };
  if (thrown instanceof HTTPException && thrown.status < 500) {
    const { status } = thrown;
    return { error: httpRefusal(status), status };
  }
  return { error: new CountersignError('INTERNAL', ERROR_CODES.INTERNAL, { cause: thrown }), status: 500 };
}

function httpRefusal(status: ContentfulStatusCode): CountersignError {
  switch (status) {
    case 413:
      return new CountersignError('INPUT_TOO_LARGE', 'The body of the request is too large.', { field: 'body' });
    case 415:
      return new CountersignError('INVALID_INPUT', 'The content type of the body is not supported.', {
        field: 'content-type',
        expected: 'application/json',
        fix: 'Send JSON, and say so: Content-Type: application/json',
      });
    default:
      return new CountersignError('INVALID_INPUT', 'The request is malformed.', { field: 'body' });
  }
}

/**
 * The document of an error. Of the system's own faults only the code is told: their messages name servers and files, which are for
 * the operator's log.
 */
export function problemOf(
  c: Context,
  publicUrl: string,
  { error, status }: { error: CountersignError; status: ContentfulStatusCode },
): ProblemDocument {
  const { code, message, field, expected, fix } = error;
  const ours = status >= 500 && code !== 'TIMED_OUT';
  return {
    type: `${publicUrl}/docs#${code}`,
    title: ERROR_CODES[code],
    status,
    detail: ours ? `${ERROR_CODES[code]} The operator's log has more, under the instance named here.` : message,
    instance: `urn:uuid:${String(c.get('requestId'))}`,
    code,
    ...(ours || field === undefined ? {} : { field }),
    ...(ours || expected === undefined ? {} : { expected }),
    ...(ours || fix === undefined ? {} : { fix }),
  };
}

/** Headers that an error asks for: when to try again, and how to say who one is (RFC 6750). */
export function problemHeaders({ code, retryable, retryAfterMs }: CountersignError): Readonly<Record<string, string>> {
  return {
    ...(code === 'UNAUTHENTICATED' ? { 'WWW-Authenticate': 'Bearer realm="countersign"' } : {}),
    ...(retryAfterMs !== undefined
      ? { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
      : retryable
        ? { 'Retry-After': '1' }
        : {}),
    'Cache-Control': 'no-store',
  };
}

export function answerProblem(c: Context, problem: ProblemDocument): Response {
  c.header('Content-Type', 'application/problem+json');
  return c.body(JSON.stringify(problem), problem.status);
}
