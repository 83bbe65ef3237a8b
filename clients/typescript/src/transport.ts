/** Requests to the gateway: authenticated, bounded in time, sent again where that is safe, with errors that say what to do. */
import { CLIENT_CODES, CountersignError } from './errors.js';
import { backOffMs, delay, retryAfterMs } from './retry-after.js';
import { settingsOf, type ClientOptions, type Settings } from './settings.js';

export interface Request {
  readonly method: 'GET' | 'POST';
  /** From the gateway's root on, with its query. */
  readonly path: string;
  readonly body?: unknown;
  /** How long the gateway is asked to wait. Seconds. */
  readonly waitSeconds?: number;
  readonly signal?: AbortSignal | undefined;
  /** When the caller gives up, by `Date.now()`: a request that would be sent later is not. */
  readonly deadline?: number;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** From when it was sent. */
  readonly tookMs: number;
}

/** What passes, as a rule: a gateway that restarts, has too much to do, or lost one of its parts. */
const PASSING = new Set([429, 502, 503, 504]);

export class Transport {
  readonly #settings: Settings;

  /** @throws CountersignError CONFIG_INVALID */
  constructor(options: ClientOptions) {
    this.#settings = settingsOf(options);
  }

  /** Sends it until it is answered, or will not be. Whatever is sent must be safe to send twice. @throws CountersignError */
  async send(request: Request): Promise<Answer> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#once(request);
      } catch (error) {
        if (!(error instanceof CountersignError) || !error.retryable || failures > this.#settings.retries) throw error;
        const pauseMs = error.retryAfterMs ?? backOffMs(failures);
        if (Date.now() + pauseMs >= (request.deadline ?? Infinity)) throw error;
        await delay(pauseMs, request.signal);
      }
    }
  }

  async #once({ method, path, body, waitSeconds = 0, signal }: Request): Promise<Answer> {
    const { url, token, headers, fetch, requestTimeoutMs } = this.#settings;
    signal?.throwIfAborted();
    const authorization = authorizationOf(await token());
    const tooLong = AbortSignal.timeout(waitSeconds * 1000 + requestTimeoutMs);
    const sentAt = Date.now();
    const wait = waitSeconds === 0 ? '' : `${path.includes('?') ? '&' : '?'}wait=${waitSeconds}`;
    try {
      const response = await fetch(`${url}${path}${wait}`, {
        method,
        // Whoever redirects is no gateway, and the token is not for wherever it leads.
        redirect: 'manual',
        headers: headersFor(headers(), authorization, body !== undefined),
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal === undefined ? tooLong : AbortSignal.any([signal, tooLong]),
      });
      return { ...answerOf(response, await response.text()), tookMs: Date.now() - sentAt };
    } catch (error) {
      if (error instanceof CountersignError) throw error;
      signal?.throwIfAborted();
      throw unavailable(error);
    }
  }
}

/** The client's own win, in whatever case the others are written. */
function headersFor(more: Readonly<Record<string, string>>, authorization: string, hasBody: boolean): Headers {
  const headers = new Headers(more);
  headers.set('accept', 'application/json, application/problem+json');
  headers.set('authorization', authorization);
  if (hasBody) headers.set('content-type', 'application/json');
  return headers;
}

/** What no header can carry is refused here: the error of whoever tried it would quote it. */
function authorizationOf(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
  throw new CountersignError('CONFIG_INVALID', 'The API key or token cannot be sent.', {
    field: 'token',
    expected: 'printable ASCII without blanks or ends of lines',
    fix: 'If it was read from a file, trim it.',
  });
}

function answerOf({ status, headers }: Response, text: string): Omit<Answer, 'tookMs'> {
  const json = /json/.test(headers.get('content-type') ?? '') ? parsed(text) : undefined;
  if (status >= 200 && status < 300 && typeof json === 'object' && json !== null) return { status, body: json };
  const after = retryAfterMs(headers.get('retry-after'));
  const retryable = PASSING.has(status) || after !== undefined;
  const { code, detail, field, expected, fix, instance } = (json ?? {}) as Readonly<Record<string, unknown>>;
  if (status >= 400 && typeof code === 'string') {
    const told = { field: textOf(field), expected: textOf(expected), fix: textOf(fix), instance: textOf(instance) };
    throw new CountersignError(code, textOf(detail) ?? code, { ...told, status, retryable, retryAfterMs: after });
  }
  const kind = retryable ? 'GATEWAY_UNAVAILABLE' : 'UNEXPECTED_ANSWER';
  throw new CountersignError(kind, `${CLIENT_CODES[kind]} It answered with HTTP status ${status}.`, {
    field: 'url',
    expected: 'the address of a gateway',
    fix: 'Check COUNTERSIGN_GATEWAY_URL, and what stands between: a proxy may have answered.',
    status,
    retryable,
    retryAfterMs: after,
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function unavailable(cause: unknown): CountersignError {
  return new CountersignError('GATEWAY_UNAVAILABLE', CLIENT_CODES.GATEWAY_UNAVAILABLE, {
    field: 'url',
    fix: 'Check COUNTERSIGN_GATEWAY_URL and the network. The same call with the same actionId is safe to repeat.',
    retryable: true,
    cause,
  });
}
