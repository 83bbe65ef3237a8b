/** The HTTP client for one service. It adds the credentials, follows allowed redirections, and sends no credential to another origin. */
import { SpanKind } from '@opentelemetry/api';
import { CountersignError } from '../../action/errors.js';
import { inSpan, traceHeaders } from '../../telemetry/tracing.js';
import { one } from '../../http/body.js';
import { resolveHeaders } from './headers.js';
import type { AccessTokens } from '../../http/access-tokens.js';
import type { HeaderValue } from './options.js';
import type { Secrets } from '../../http/secrets.js';
import type { Answer, Wire, WireRequest } from '../../http/wire.js';

export interface ClientOptions {
  readonly tool: string;
  readonly base: URL;
  readonly headers: Readonly<Record<string, HeaderValue>>;
  readonly secrets: Secrets;
  /** Connections to the service, with its client certificate. */
  readonly own: Wire;
  /** Connections to other origins, without a client certificate. */
  readonly others: Wire;
  readonly tokens: AccessTokens | undefined;
  readonly hosts: ReadonlySet<string>;
  readonly redirects: number;
  readonly mayBePlain: (url: URL) => boolean;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export type Outgoing = Omit<WireRequest, 'headers'> & { readonly headers?: Readonly<Record<string, HeaderValue>> };

export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get base(): URL {
    return this.#options.base;
  }

  get secrets(): Secrets {
    return this.#options.secrets;
  }

  /**
   * Sends a request to the service and returns its response, whatever the status; redirections are not followed. When the service refuses
   * the token (401), the token is renewed once and the request repeated, because a refused request has had no effect. `begin` is called
   * right before each time that it is sent.
   *
   * @throws WireFailure; CountersignError when the request could not be built, so that nothing was sent
   */
  async send(request: Outgoing, signal: AbortSignal, begin = async (): Promise<void> => {}): Promise<Answer> {
    const { own, tokens, headers, secrets, base } = this.#options;
    if (request.url.origin !== base.origin) {
      throw new CountersignError('INTERNAL', 'A request with credentials was about to leave the service.');
    }
    const resolved = { ...PLAIN, ...(await resolveHeaders({ ...headers, ...request.headers }, secrets)) };
    const sent = async (all: Record<string, string>): Promise<Answer> => {
      await begin();
      return await traced(request, () => own.send({ ...request, headers: { ...traceHeaders(), ...all } }, signal));
    };
    if (tokens === undefined) return await sent(resolved);
    const token = await tokens.get(signal);
    const response = await sent(bearing(resolved, token));
    if (response.status !== 401) return response;
    tokens.reject(token);
    return await sent(bearing(resolved, await tokens.get(signal)));
  }

  /**
   * Sends a GET or HEAD and follows redirections, to allowed hosts only. No credential is sent to another origin.
   *
   * @throws WireFailure; CountersignError TOOL_FAILED when a redirection may not be followed
   */
  async read(request: Outgoing, signal: AbortSignal): Promise<Answer> {
    let { url } = request;
    let response = await this.#readOnce(request, url, signal);
    for (let hops = 0; REDIRECTS.has(response.status); hops++) {
      if (hops >= this.#options.redirects) throw this.#notFollowed(`more than ${this.#options.redirects} in a row`);
      url = this.target(one(response.headers['location']), url);
      response = await this.#readOnce(request, url, signal);
    }
    return response;
  }

  async #readOnce(request: Outgoing, url: URL, signal: AbortSignal): Promise<Answer> {
    if (url.origin === this.#options.base.origin) return await this.send({ ...request, url }, signal);
    this.#assertAllowed(url);
    return await this.#options.others.send({ method: request.method, url, headers: PLAIN }, signal);
  }

  /** Where an address that the service gave in a response leads. @throws CountersignError TOOL_FAILED when it may not be read */
  target(location = '', from: URL): URL {
    const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
    if (url === undefined || location === '') throw this.#notFollowed('it names no URL');
    const { mayBePlain } = this.#options;
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayBePlain(url))) {
      throw this.#notFollowed(`it leads to ${url.protocol.slice(0, 16)}`);
    }
    if (url.protocol === 'http:' && from.protocol === 'https:') throw this.#notFollowed('it leads out of TLS');
    if (url.username !== '' || url.password !== '') throw this.#notFollowed('it holds credentials');
    this.#assertAllowed(url);
    return url;
  }

  #assertAllowed(url: URL): void {
    const { base, hosts } = this.#options;
    if (url.origin === base.origin || hosts.has(url.host)) return;
    throw this.#notFollowed(`it leads to ${url.host.slice(0, 100)}, which allow.hosts does not name`);
  }

  #notFollowed(why: string): CountersignError {
    return new CountersignError('TOOL_FAILED', `An address that ${this.#options.tool} gave is not followed: ${why}.`, {
      field: 'allow.hosts',
      fix: 'Correct the URL of the operation or probe, or allow the host.',
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.own.close(), this.#options.others.close()]);
  }
}

/** One request as a span. Its path is no attribute: ids of people and things are in there. */
function traced({ method, url }: Pick<WireRequest, 'method' | 'url'>, send: () => Promise<Answer>): Promise<Answer> {
  const attributes = {
    'http.request.method': method,
    'server.address': url.hostname,
    'server.port': Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
  };
  return inSpan(method, { kind: SpanKind.CLIENT, attributes }, async (span) => {
    const answer = await send();
    span.setAttribute('http.response.status_code', answer.status);
    return answer;
  });
}

/** The default headers. They ask for no compression, because unpacking an unknown body is a risk that saves little. */
const PLAIN = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'countersign' };

function bearing(headers: Readonly<Record<string, string>>, token: string): Record<string, string> {
  return { ...headers, authorization: `Bearer ${token}` };
}
