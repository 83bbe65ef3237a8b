/** The one error class of the client: what the gateway refuses a request with, and what keeps a request from being answered. */

/** What a gateway never says, because it was not reached or did not answer itself. Its own codes are in docs/errors.md. */
export const CLIENT_CODES = {
  GATEWAY_UNAVAILABLE: 'The gateway cannot be reached.',
  UNEXPECTED_ANSWER: 'What answered is no gateway, or one of another version.',
} as const;

/** What else is known of an error. What is left out is not known. */
export interface CountersignErrorOptions {
  /** Where it is wrong, as a path from the root: `proposal.input.where`. */
  readonly field?: string | undefined;
  /** What would have been right there. */
  readonly expected?: string | undefined;
  /** What to do now. */
  readonly fix?: string | undefined;
  /** Whether the same call, with the same `actionId`, may succeed later. Default false. */
  readonly retryable?: boolean | undefined;
  /** When trying again is of use. Milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  /** Of the HTTP answer, where there was one. */
  readonly status?: number | undefined;
  /** Names the request in the gateway's log. */
  readonly instance?: string | undefined;
  /** What it was raised for, such as an error of `fetch`. */
  readonly cause?: unknown;
}

/** Any error that the client raises on purpose. A refusal of an action is none: it is an outcome (`denied`). */
export class CountersignError extends Error {
  override readonly name = 'CountersignError';
  /** Stable: one of docs/errors.md, or of `CLIENT_CODES`. */
  readonly code: string;
  /** Where it is wrong, as a path from the root: `proposal.input.where`. */
  readonly field: string | undefined;
  /** What would have been right there. */
  readonly expected: string | undefined;
  /** What to do now. */
  readonly fix: string | undefined;
  /** Whether the same call, with the same `actionId`, may succeed later. */
  readonly retryable: boolean;
  /** When trying again is of use. Milliseconds from now. */
  readonly retryAfterMs: number | undefined;
  /** Of the HTTP answer; absent where there was none. */
  readonly status: number | undefined;
  /** Names the request in the gateway's log. */
  readonly instance: string | undefined;

  constructor(code: string, message: string, options: CountersignErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.expected = options.expected;
    this.fix = options.fix;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
    this.instance = options.instance;
  }
}
