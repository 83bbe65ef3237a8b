/** Where the gateway is and who speaks to it: given, or from the environment where there is one. */
import { CountersignError } from './errors.js';

/** Where the gateway is, who speaks to it, and for how long it is tried. */
export interface ClientOptions {
  /** The gateway's address. Default: COUNTERSIGN_GATEWAY_URL. */
  readonly url?: string | undefined;
  /**
   * An API key (`csa_…`) or a token of an issuer that the gateway knows; a function is asked before every request, so that tokens may
   * expire. Default: COUNTERSIGN_API_KEY.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** More headers for every request, such as `traceparent`. None that the client itself sets. */
  readonly headers?: (() => Readonly<Record<string, string>>) | undefined;
  /** How often in a row a request is sent again after a failure that may pass: no connection, 429, 502, 503, 504. Default 5. */
  readonly retries?: number | undefined;
  /** How long a request may take beyond what it waits on purpose. Milliseconds, default 30 000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Lets the token travel unencrypted to other hosts than this one: for networks that encrypt by themselves. Default false. */
  readonly allowHttp?: boolean | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
}

export interface Settings {
  readonly url: string;
  readonly token: () => string | Promise<string>;
  readonly headers: () => Readonly<Record<string, string>>;
  readonly retries: number;
  readonly requestTimeoutMs: number;
  readonly fetch: typeof fetch;
}

/** @throws CountersignError CONFIG_INVALID */
export function settingsOf(options: ClientOptions): Settings {
  const { token = variable('COUNTERSIGN_API_KEY') } = options;
  if (token === undefined || token === '') {
    throw new CountersignError('CONFIG_INVALID', 'An agent needs an API key or a token to be known by.', {
      field: 'token',
      expected: 'a key of `countersign api-key create`, or a token of an issuer that the gateway knows',
      fix: 'Set COUNTERSIGN_API_KEY, or pass `token`.',
    });
  }
  return {
    url: addressOf(options.url ?? variable('COUNTERSIGN_GATEWAY_URL'), options.allowHttp ?? false),
    token: typeof token === 'string' ? () => token : token,
    headers: options.headers ?? (() => ({})),
    retries: options.retries ?? 5,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
  };
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

function addressOf(text: string | undefined, allowHttp: boolean): string {
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  const encrypted = url?.protocol === 'https:' || allowHttp || LOOPBACK.test(url?.hostname ?? '');
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || !encrypted) {
    throw new CountersignError('CONFIG_INVALID', 'The address of the gateway cannot be used.', {
      field: 'url',
      expected: 'an https address without credentials in it; http only to this host, or with `allowHttp`',
      fix: 'Set COUNTERSIGN_GATEWAY_URL, or pass `url`.',
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Not every runtime has a process. */
function variable(name: string): string | undefined {
  const { process } = globalThis as { process?: { env?: Readonly<Record<string, string | undefined>> } };
  return process?.env?.[name];
}
