/** What the routes of a login share: the sessions, the logins under way, and the identity provider where there is one. */
import type { Context } from 'hono';
import { randomNonce, randomPKCECodeVerifier } from 'openid-client';
import { CountersignError } from '../../../action/errors.js';
import type { GatewayDependencies } from '../../deps.js';
import { LOGIN_SECONDS, LoginStore, type BegunLogin } from '../../store/logins.js';
import { Cookie } from '../cookies.js';
import { isSecret, newSecret } from '../secrets.js';
import { Sessions } from '../sessions.js';
import { Provider } from './provider.js';

export interface LoginContext {
  readonly deps: GatewayDependencies;
  readonly sessions: Sessions;
  readonly logins: BrowserLogins;
  /** Undefined without an identity provider. */
  readonly provider: Provider | undefined;
}

/** @throws CountersignError CONFIG_INVALID */
export function loginContext(deps: GatewayDependencies): LoginContext {
  const { settings, logger } = deps;
  const { publicUrl, session, oidc } = settings;
  return {
    deps,
    sessions: new Sessions(deps),
    logins: new BrowserLogins(deps),
    provider: oidc && new Provider(oidc, { publicUrl, maxAgeSeconds: session.maxSeconds, logger }),
  };
}

type LoginWithState = BegunLogin & { readonly state: string };

/** Logins under way, each tied by a cookie to the browser that began it. */
class BrowserLogins {
  readonly #store: LoginStore;
  readonly #cookie: Cookie;

  constructor({ database, settings }: Pick<GatewayDependencies, 'database' | 'settings'>) {
    this.#store = new LoginStore(database);
    this.#cookie = new Cookie(settings, 'countersign-login', LOGIN_SECONDS);
  }

  /** Begins a login of this browser. Several may be under way in it: they share its secret. */
  async begin(c: Context, returnTo: string): Promise<LoginWithState> {
    const browser = this.#cookie.read(c) ?? newSecret();
    const begun = { state: newSecret(), nonce: randomNonce(), codeVerifier: randomPKCECodeVerifier(), returnTo };
    await this.#store.begin({ ...begun, browser });
    this.#cookie.write(c, browser);
    return begun;
  }

  /** Takes a login that this browser began, once. @throws CountersignError UNAUTHENTICATED when it began no such login */
  async take(c: Context, state: string | undefined): Promise<LoginWithState> {
    const browser = this.#cookie.read(c);
    const begun = isSecret(state) && browser !== undefined ? await this.#store.take(state, browser) : undefined;
    if (state !== undefined && begun !== undefined) return { ...begun, state };
    throw new CountersignError('UNAUTHENTICATED', 'This browser began no such login, or not in the last ten minutes.', {
      field: 'state',
      expected: 'a login that was begun in this browser, and not ended yet',
      fix: 'Log in again, in this browser, with cookies allowed.',
    });
  }
}
