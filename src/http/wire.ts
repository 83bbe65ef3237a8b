/** One request and its answer, with what can be known when there is none: whether the request can have reached the service. */
import { Agent, type Dispatcher } from 'undici';
import { guardedConnector, type ConnectorOptions } from './connector.js';
import type { Method } from './options.js';

export interface WireRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As sent: not unpacked. */
  readonly body: Buffer;
}

export interface WireLimits {
  readonly connectMs: number;
  readonly headersMs: number;
  readonly bodyMs: number;
  readonly bodyBytes: number;
}

/** There is no whole answer. */
export class WireFailure extends Error {
  override readonly name = 'WireFailure';
  /** False only when it is certain that no byte of the request was written, or that the service refused the connection itself. */
  readonly sent: boolean;
  readonly code: string;
  /** Set when an answer had begun. */
  readonly status: number | undefined;

  constructor(message: string, facts: { sent: boolean; code: string; status?: number | undefined }) {
    super(message);
    this.sent = facts.sent;
    this.code = facts.code;
    this.status = facts.status;
  }
}

/** The other side turned the TLS client away: it never read what came after. */
const REFUSED_BY_TLS =
  /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|NO_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)$/;

/**
 * Sends requests, each on a connection of its own. A connection that is kept may be closed by the other side just as it is used, which
 * cannot be told from a lost reply, and a reply sent twice on it would be taken for the answer to the next request.
 */
export class Wire {
  readonly #agent: Agent;
  readonly #limits: WireLimits;

  constructor(limits: WireLimits, connector: ConnectorOptions) {
    this.#limits = limits;
    this.#agent = new Agent({ connect: guardedConnector(connector), pipelining: 0 });
  }

  /** @throws WireFailure */
  send(request: WireRequest, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(this.#limits.bodyBytes, signal, resolve, reject);
      if (signal.aborted) return exchange.abort();
      signal.addEventListener('abort', exchange.abort, { once: true });
      try {
        this.#agent.dispatch(
          {
            origin: request.url.origin,
            path: `${request.url.pathname}${request.url.search}`,
            method: request.method,
            headers: { ...request.headers },
            body: request.body ?? null,
            headersTimeout: this.#limits.headersMs,
            bodyTimeout: this.#limits.bodyMs,
          },
          exchange,
        );
      } catch (error) {
        exchange.fail(error);
      }
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #maxBytes: number;
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (failure: WireFailure) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status: number | undefined;
  #headers: Answer['headers'] = {};
  #chunks: Buffer[] = [];
  #bytes = 0;
  #over = false;

  constructor(
    maxBytes: number,
    signal: AbortSignal,
    resolve: (answer: Answer) => void,
    reject: (failure: WireFailure) => void,
  ) {
    this.#maxBytes = maxBytes;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  readonly abort = (): void => {
    const reason: unknown = this.#signal.reason;
    const timedOut = reason instanceof Error && reason.name === 'TimeoutError';
    const code = timedOut ? 'TIMEOUT' : 'ABORTED';
    this.fail(Object.assign(new Error(timedOut ? 'the time for it was over' : 'it was cancelled'), { code }));
  };

  /** Called when there is a connection, before the first byte is written. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#over) {
      controller.abort(new Error('not wanted any more'));
      return;
    }
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Answer['headers']): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.fail(
        Object.assign(new Error(`the answer is larger than ${this.#maxBytes} bytes`), { code: 'BODY_TOO_LARGE' }),
      );
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#over || this.#status === undefined) return;
    this.#finish();
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  fail(thrown: unknown): void {
    if (this.#over) return;
    this.#finish();
    const error: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown));
    const code = error.code ?? error.name;
    const sent = this.#controller !== undefined && !REFUSED_BY_TLS.test(code);
    this.#controller?.abort(error);
    this.#reject(new WireFailure(described(error, code), { sent, code, status: this.#status }));
  }

  #finish(): void {
    this.#over = true;
    this.#signal.removeEventListener('abort', this.abort);
  }
}

/** Errors of several tried addresses have no message of their own. */
function described(error: Error, code: string): string {
  const inner = error instanceof AggregateError ? (error.errors as unknown[]).at(0) : undefined;
  const message = inner instanceof Error ? inner.message : error.message;
  return message.includes(code) ? message : `${message || 'no connection'} (${code})`;
}
