/** The routes by which people come and go: login at the identity provider or for development, and logout. */
import { Hono, type Context } from 'hono';
import { randomNonce, randomPKCECodeVerifier } from 'openid-client';
import { CountersignError } from '../../../action/errors.js';
import { withoutUndefined } from '../../../action/json.js';
import { PRINCIPAL_PATTERN } from '../../../trust/claim-schemas.js';
import type { DevPerson, GatewayDependencies, GatewaySettings } from '../../deps.js';
import type { GatewayEnv } from '../identity.js';
import { page } from '../../inbox/layout/layout.js';
import { personOf } from './person-claims.js';
import { Cookie } from '../cookies.js';
import { LOGIN_SECONDS, LoginStore } from '../../store/logins.js';
import { DevLogin, LoggedOut, LoginRefused } from './pages.js';
import { passkeyRoutes } from '../passkeys.js';
import { Provider } from './provider.js';
import { loginPath, safeReturn } from './return-to.js';
import { isThisMachine } from '../../../http/addresses.js';
import { isFromLoopback } from '../../middleware/same-host.js';
import { isSecret, newSecret } from '../secrets.js';
import { Sessions } from '../sessions.js';

/**
 * GET /login, /callback, /dev-login, /logged-out; POST /dev-login, /logout; and the passkeys' routes.
 *
 * @throws CountersignError CONFIG_INVALID when people could be let in who should not
 */
export function login(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { settings, logger } = deps;
  const { publicUrl } = settings;
  checkDevelopment(settings);
  const sessions = new Sessions(deps);
  const logins = new LoginStore(deps.database);
  const browserCookie = new Cookie(settings, 'countersign-login', LOGIN_SECONDS);
  const provider =
    settings.oidc && new Provider(settings.oidc, { publicUrl, maxAgeSeconds: settings.session.maxSeconds, logger });
  const app = new Hono<GatewayEnv>();

  /** Begins a login of this browser. Several may be under way in it: they share its secret. */
  const begin = async (c: Context, returnTo: string) => {
    const browser = browserCookie.read(c) ?? newSecret();
    const begun = { state: newSecret(), nonce: randomNonce(), codeVerifier: randomPKCECodeVerifier(), returnTo };
    await logins.begin({ ...begun, browser });
    browserCookie.write(c, browser);
    return begun;
  };

  const take = async (c: Context, state: string | undefined) => {
    const browser = browserCookie.read(c);
    const begun = isSecret(state) && browser !== undefined ? await logins.take(state, browser) : undefined;
    if (state !== undefined && begun !== undefined) return { ...begun, state };
    throw new CountersignError('UNAUTHENTICATED', 'This browser began no such login, or not in the last ten minutes.', {
      field: 'state',
      expected: 'a login that was begun in this browser, and not ended yet',
      fix: 'Log in again, in this browser, with cookies allowed.',
    });
  };

  app.get('/login', async (c) => {
    const returnTo = safeReturn(c.req.query('return_to'));
    const again = c.req.query('again') === '1';
    if (!again && (await sessions.person(c)) !== undefined) return c.redirect(returnTo, 303);
    c.header('cache-control', 'no-store');
    if (provider === undefined) {
      if (settings.devPeople === undefined) return refuse(c, noLogin());
      return c.redirect(returnTo === '/' ? '/dev-login' : `/dev-login?return_to=${encodeURIComponent(returnTo)}`, 303);
    }
    try {
      const begun = await begin(c, returnTo);
      return c.redirect((await provider.authorizationUrl(begun, { again })).href, 303);
    } catch (error) {
      return refuse(c, error, returnTo);
    }
  });

  app.get('/callback', async (c) => {
    if (settings.oidc === undefined || provider === undefined) return refuse(c, noLogin());
    let returnTo = '/';
    try {
      const begun = await take(c, c.req.query('state'));
      returnTo = begun.returnTo;
      const { claims, ...rest } = await provider.finish(new URL(c.req.url).search, begun);
      const person = personOf(claims, settings.oidc);
      await sessions.begin(c, {
        ...person,
        auth: { method: 'oidc', by: settings.oidc.issuer },
        ...withoutUndefined(rest),
      });
      logger.info({ person: person.id, tenant: person.tenant, roles: person.roles }, 'logged in');
    } catch (error) {
      return refuse(c, error, returnTo);
    }
    c.header('cache-control', 'no-store');
    return c.redirect(safeReturn(returnTo), 303);
  });

  app.get('/dev-login', async (c) => {
    const { devPeople: people } = settings;
    if (people === undefined) return refuse(c, noLogin());
    try {
      checkFromHere(c);
      const { state } = await begin(c, safeReturn(c.req.query('return_to')));
      return await page(
        c,
        { title: 'Log in for development', width: 'narrow' },
        <DevLogin people={people} state={state} />,
      );
    } catch (error) {
      return refuse(c, error);
    }
  });

  app.post('/dev-login', async (c) => {
    if (settings.devPeople === undefined) return refuse(c, noLogin());
    let returnTo = '/';
    try {
      checkFromHere(c);
      sessions.ownOrigin(c);
      const { state, person: index } = await c.req.parseBody();
      const begun = await take(c, typeof state === 'string' ? state : undefined);
      returnTo = begun.returnTo;
      const person =
        typeof index === 'string' && /^\d{1,4}$/.test(index) ? settings.devPeople[Number(index)] : undefined;
      if (person === undefined) throw noSuchPerson();
      const { id, name, tenant, roles } = person;
      await sessions.begin(c, { id, name, tenant, roles, auth: { method: 'dev', by: 'dev' } });
      logger.warn({ person: id, tenant, roles }, 'logged in by the login for development');
    } catch (error) {
      return refuse(c, error, returnTo);
    }
    return c.redirect(safeReturn(returnTo), 303);
  });

  app.post('/logout', async (c) => {
    const person = await deps.identity.person(c);
    const idToken = await sessions.end(c);
    logger.info({ person: person.id, tenant: person.tenant }, 'logged out');
    // A link, not a redirect: `form-action` in the pages' Content-Security-Policy keeps forms from leading elsewhere.
    const url = await provider?.endSessionUrl(idToken);
    const there = url && { name: new URL(settings.oidc?.issuer ?? url.href).host, url: url.href };
    return page(c, { title: 'Logged out', width: 'narrow' }, <LoggedOut provider={there} />);
  });

  app.get('/logged-out', (c) => page(c, { title: 'Logged out', width: 'narrow' }, <LoggedOut />));

  app.route('/', passkeyRoutes(deps, sessions));
  return app;

  function refuse(c: Context, thrown: unknown, returnTo = '/'): Response | Promise<Response> {
    if (!(thrown instanceof CountersignError) || thrown.code === 'LEDGER_UNAVAILABLE') throw thrown;
    const status =
      thrown.code === 'UNAUTHENTICATED' ? (thrown.retryable ? 503 : 400) : thrown.code === 'NOT_FOUND' ? 404 : 403;
    // Somebody who may not come in may want to come as somebody else.
    const again = loginPath(returnTo, { again: thrown.code === 'FORBIDDEN' });
    return page(c, { title: 'Not logged in', width: 'narrow' }, <LoginRefused error={thrown} again={again} />, status);
  }

  /** The page lets anyone be anybody: it is for whoever sits at this machine. */
  function checkFromHere(c: Context<GatewayEnv>): void {
    const host = c.req.header('host')?.replace(/:\d+$/, '') ?? '';
    if (isThisMachine(host.toLowerCase()) && isFromLoopback(c)) return;
    throw new CountersignError('FORBIDDEN', 'The login for development is open on this machine only.', {
      expected: 'a request from this machine, for localhost',
      fix: 'Configure an identity provider (OpenID Connect).',
    });
  }
}

function noLogin(): CountersignError {
  return new CountersignError('NOT_FOUND', 'There is no such login at this gateway.', {
    fix: 'The operator configures an identity provider (OpenID Connect).',
  });
}

function noSuchPerson(): CountersignError {
  return new CountersignError('FORBIDDEN', 'Nobody of that name is configured for development.', { field: 'person' });
}

/** @throws CountersignError CONFIG_INVALID */
function checkDevelopment({ devPeople, oidc, publicUrl }: GatewaySettings): void {
  if (devPeople === undefined) return;
  const problem = unfit(devPeople);
  if (problem === undefined && oidc === undefined && isThisMachine(new URL(publicUrl).hostname)) return;
  throw new CountersignError('CONFIG_INVALID', problem ?? 'The login for development would be open to others.', {
    field: 'devPeople',
    expected: 'no identity provider, and a gateway that people reach at localhost',
    fix: 'Leave devPeople out and configure `oidc`.',
  });
}

function unfit(people: readonly DevPerson[]): string | undefined {
  const person = people.find(({ id }) => !PRINCIPAL_PATTERN.test(id));
  return person && `"${person.id}" cannot be the id of a person.`;
}
