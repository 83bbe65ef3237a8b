/** Talks to one service: adds its credentials, follows what may be followed, and keeps both from every other origin. */
import { CountersignError } from '../../action/errors.js';
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
  /** To the service, with its client certificate. */
  readonly own: Wire;
  /** To other origins, without. */
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
   * Sends a request to the service and returns its answer, whatever it is. A redirection is an answer. A token that is not taken (401) is
   * renewed once: who is not let in has not done anything.
   *
   * @throws WireFailure; CountersignError when it could not even be made up, so that nothing was sent
   */
  async send(request: Outgoing, signal: AbortSignal): Promise<Answer> {
    const { own, tokens, headers, secrets, base } = this.#options;
    if (request.url.origin !== base.origin) {
      throw new CountersignError('INTERNAL', 'A request with credentials was about to leave the service.');
    }
    const resolved = { ...PLAIN, ...(await resolveHeaders({ ...headers, ...request.headers }, secrets)) };
    if (tokens === undefined) return await own.send({ ...request, headers: resolved }, signal);
    const token = await tokens.get(signal);
    const answer = await own.send({ ...request, headers: bearing(resolved, token) }, signal);
    if (answer.status !== 401) return answer;
    tokens.reject(token);
    return await own.send({ ...request, headers: bearing(resolved, await tokens.get(signal)) }, signal);
  }

  /**
   * A GET or HEAD that follows redirections, to allowed hosts only. No credential crosses to another origin.
   *
   * @throws WireFailure; CountersignError TOOL_FAILED when a redirection may not be followed
   */
  async read(request: Outgoing, signal: AbortSignal): Promise<Answer> {
    let { url } = request;
    let answer = await this.send(request, signal);
    for (let hops = 0; REDIRECTS.has(answer.status); hops++) {
      if (hops >= this.#options.redirects) throw this.#notFollowed(`more than ${this.#options.redirects} in a row`);
      url = this.#target(answer, url);
      answer =
        url.origin === this.#options.base.origin
          ? await this.send({ ...request, url }, signal)
          : await this.#options.others.send({ method: request.method, url, headers: PLAIN }, signal);
    }
    return answer;
  }

  #target(answer: Answer, from: URL): URL {
    const location = one(answer.headers['location']) ?? '';
    const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
    if (url === undefined || location === '') throw this.#notFollowed('it names no URL');
    const { base, hosts, mayBePlain } = this.#options;
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayBePlain(url))) {
      throw this.#notFollowed(`it leads to ${url.protocol.slice(0, 16)}`);
    }
    if (url.protocol === 'http:' && from.protocol === 'https:') throw this.#notFollowed('it leads out of TLS');
    if (url.username !== '' || url.password !== '') throw this.#notFollowed('it holds credentials');
    if (url.origin !== base.origin && !hosts.has(url.host)) {
      throw this.#notFollowed(`it leads to ${url.host.slice(0, 100)}, which allow.hosts does not name`);
    }
    return url;
  }

  #notFollowed(why: string): CountersignError {
    return new CountersignError('TOOL_FAILED', `A redirection of ${this.#options.tool} is not followed: ${why}.`, {
      field: 'allow.hosts',
      fix: 'Correct the URL of the operation or probe, or allow the host.',
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.own.close(), this.#options.others.close()]);
  }
}

/** Packing saves nothing that is worth unpacking an unknown body for. */
const PLAIN = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'countersign' };

function bearing(headers: Readonly<Record<string, string>>, token: string): Record<string, string> {
  return { ...headers, authorization: `Bearer ${token}` };
}
