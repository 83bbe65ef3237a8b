/** A `fetch` for libraries (jose, openid-client) that goes through the guarded client: its address guard, its limits, and no redirection. */
import { addressGuard } from './addresses.js';
import type { Allow, Method } from './options.js';
import { Secrets } from './secrets.js';
import { Wire } from './wire.js';

export interface GuardedFetchOptions {
  readonly allow: Pick<Allow, 'loopback' | 'networks'>;
  /** For a request with its answer, milliseconds. */
  readonly timeoutMs: number;
  /** Of an answer's body. */
  readonly maxBytes: number;
}

export type GuardedFetch = (
  url: string | URL,
  init?: {
    readonly method?: string | undefined;
    readonly headers?: ConstructorParameters<typeof Headers>[0];
    readonly body?: string | Uint8Array | undefined;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<Response>;

/** Answers with a `Response` whose body has come whole. Rejects with a WireFailure. @throws CountersignError CONFIG_INVALID */
export function guardedFetch({ allow, timeoutMs, maxBytes }: GuardedFetchOptions): GuardedFetch {
  const wire = new Wire(
    { connectMs: timeoutMs, headersMs: timeoutMs, bodyMs: timeoutMs, bodyBytes: maxBytes },
    { isAllowed: addressGuard(allow), connectMs: timeoutMs, secrets: new Secrets('This request') },
  );
  return async (url, { method = 'GET', headers, body, signal = AbortSignal.timeout(timeoutMs) } = {}) => {
    const sent = Object.fromEntries(new Headers(headers));
    const request = {
      method: method as Method,
      url: new URL(url),
      headers: { accept: 'application/json', 'user-agent': 'countersign', ...sent, 'accept-encoding': 'identity' },
      ...(body === undefined ? {} : { body }),
    };
    const answer = await wire.send(request, signal);
    const received = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) {
      for (const one of [value ?? []].flat()) received.append(name, one);
    }
    return new Response(answer.body.length === 0 ? null : new Uint8Array(answer.body), {
      status: answer.status,
      headers: received,
    });
  };
}
