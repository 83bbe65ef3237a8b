/** Access tokens by client credentials (RFC 6749, section 4.4): fetched when needed, one request at a time, never shown. */
import { CountersignError } from '../action/errors.js';
import { bodyOf } from './body.js';
import type { ClientCredentials } from './options.js';
import type { Secrets } from './secrets.js';
import { WireFailure, type Answer, type Wire } from './wire.js';

/** A token is renewed this long before it ends: it must still be good when it arrives. Milliseconds, at most a tenth of its life. */
const RENEW_BEFORE_MS = 30_000;
/** What a token without `expires_in` is taken to last. */
const DEFAULT_LIFE_S = 300;

interface Token {
  readonly value: string;
  readonly renewAt: number;
}

export class AccessTokens {
  readonly #credentials: ClientCredentials;
  readonly #wire: Wire;
  readonly #secrets: Secrets;
  readonly #limits: { readonly totalMs: number; readonly bodyBytes: number };
  #token: Token | undefined;
  #fetching: Promise<Token> | undefined;

  constructor(
    credentials: ClientCredentials,
    wire: Wire,
    secrets: Secrets,
    limits: { readonly totalMs: number; readonly bodyBytes: number },
  ) {
    this.#credentials = credentials;
    this.#wire = wire;
    this.#secrets = secrets;
    this.#limits = limits;
  }

  /** @throws CountersignError TOOL_UNAVAILABLE (retryable) or TOOL_FAILED. Nothing was sent to the service itself. */
  async get(signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined && Date.now() < this.#token.renewAt) return this.#token.value;
    if (signal.aborted) throw gaveUp();
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    // Many wait for one fetch: whoever gives up must not end it for the others.
    const token = await unless(signal, this.#fetching);
    return token.value;
  }

  /** The service did not take this token: it is not used again. */
  reject(value: string): void {
    if (this.#token?.value === value) this.#token = undefined;
  }

  async #fetch(): Promise<Token> {
    const { tokenUrl, clientId, clientSecret, scope, audience, authentication = 'basic' } = this.#credentials;
    const secret = await this.#secrets.read(clientSecret);
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scope !== undefined) form.set('scope', scope);
    if (audience !== undefined) form.set('audience', audience);
    const headers: Record<string, string> = {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      'accept-encoding': 'identity',
    };
    if (authentication === 'post') {
      form.set('client_id', clientId);
      form.set('client_secret', secret);
    } else {
      // RFC 6749, section 2.3.1: both parts are form-encoded first.
      const pair = Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString('base64');
      this.#secrets.remember(pair);
      headers['authorization'] = `Basic ${pair}`;
    }
    const asked = Date.now();
    let answer: Answer;
    try {
      const request = { method: 'POST', url: new URL(tokenUrl), headers, body: form.toString() } as const;
      answer = await this.#wire.send(request, AbortSignal.timeout(this.#limits.totalMs));
    } catch (error) {
      if (!(error instanceof WireFailure)) throw error;
      throw this.#unavailable(error.message);
    }
    const { value, lifeS } = await this.#read(answer);
    this.#secrets.remember(value);
    const lifeMs = lifeS * 1000;
    this.#token = { value, renewAt: asked + lifeMs - Math.min(RENEW_BEFORE_MS, lifeMs / 10) };
    return this.#token;
  }

  async #read(answer: Answer): Promise<{ value: string; lifeS: number }> {
    const { status } = answer;
    if (status >= 500 || status === 429 || status === 408) throw this.#unavailable(`it answered ${status}`);
    const body = await bodyOf(answer, this.#limits.bodyBytes).catch(() => null);
    const member = (name: string): unknown =>
      typeof body === 'object' && body !== null && Object.hasOwn(body, name)
        ? (body as Record<string, unknown>)[name]
        : undefined;
    const [value, type, life] = ['access_token', 'token_type', 'expires_in'].map(member);
    const usable = typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) && /^bearer$/i.test(String(type));
    if (status === 200 && usable) {
      const seconds = Number(life);
      return { value, lifeS: Number.isFinite(seconds) && seconds > 0 ? seconds : DEFAULT_LIFE_S };
    }
    // RFC 6749, section 5.2: `error` is a code of visible ASCII; the description may hold anything.
    const code = member('error');
    const why = typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? code : 'no bearer token';
    throw new CountersignError('TOOL_FAILED', `The authorization server gives no token: ${why} (${status}).`, {
      field: 'oauth',
      fix: "Check the client's id, secret and scope in the tool's config.",
    });
  }

  #unavailable(why: string): CountersignError {
    return new CountersignError(
      'TOOL_UNAVAILABLE',
      `The authorization server cannot be used: ${this.#secrets.strike(why)}.`,
      { field: 'oauth', retryable: true },
    );
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

function gaveUp(): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', 'The wait for an access token ended.', {
    field: 'oauth',
    retryable: true,
  });
}

async function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(gaveUp());
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
