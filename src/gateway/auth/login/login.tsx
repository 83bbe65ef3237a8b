/** The routes by which people come and go: login at the identity provider or for development, and logout. */
import { Hono, type Context } from 'hono';
import { withoutUndefined } from '../../../action/json.js';
import type { GatewayDependencies } from '../../deps.js';
import { page } from '../../inbox/layout/layout.js';
import type { GatewayEnv } from '../identity.js';
import { passkeyRoutes } from '../passkeys.js';
import { loginContext, type LoginContext } from './context.js';
import { checkDevelopment, logInAsDevPerson, offerDevPeople } from './development.js';
import { LoggedOut } from './pages.js';
import { personOf } from './person-claims.js';
import { noLogin, refuse } from './refused.js';
import { safeReturn } from './return-to.js';

/**
 * GET /login, /callback, /dev-login, /logged-out; POST /dev-login, /logout; and the passkeys' routes.
 *
 * @throws CountersignError CONFIG_INVALID when people could be let in who should not
 */
export function login(deps: GatewayDependencies): Hono<GatewayEnv> {
  checkDevelopment(deps.settings);
  const context = loginContext(deps);
  const app = new Hono<GatewayEnv>();
  app.get('/login', (c) => beginLogin(context, c));
  app.get('/callback', (c) => finishLogin(context, c));
  app.get('/dev-login', (c) => offerDevPeople(context, c));
  app.post('/dev-login', (c) => logInAsDevPerson(context, c));
  app.post('/logout', (c) => logOut(context, c));
  app.get('/logged-out', (c) => page(c, { title: 'Logged out', width: 'narrow' }, <LoggedOut />));
  app.route('/', passkeyRoutes(deps, context.sessions));
  return app;
}

/** `GET /login`: leads to the identity provider or to the login for development. */
async function beginLogin({ deps, sessions, logins, provider }: LoginContext, c: Context): Promise<Response> {
  const returnTo = safeReturn(c.req.query('return_to'));
  const again = c.req.query('again') === '1';
  if (!again && (await sessions.person(c)) !== undefined) return c.redirect(returnTo, 303);
  c.header('cache-control', 'no-store');
  if (provider === undefined) {
    if (deps.settings.devPeople === undefined) return refuse(c, noLogin());
    return c.redirect(returnTo === '/' ? '/dev-login' : `/dev-login?return_to=${encodeURIComponent(returnTo)}`, 303);
  }
  try {
    const begun = await logins.begin(c, returnTo);
    return c.redirect((await provider.authorizationUrl(begun, { again })).href, 303);
  } catch (error) {
    return refuse(c, error, returnTo);
  }
}

/** `GET /callback`: the identity provider leads the browser back here. */
async function finishLogin({ deps, sessions, logins, provider }: LoginContext, c: Context): Promise<Response> {
  const { settings, logger } = deps;
  if (settings.oidc === undefined || provider === undefined) return refuse(c, noLogin());
  let returnTo = '/';
  try {
    const begun = await logins.take(c, c.req.query('state'));
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
}

async function logOut({ deps, sessions, provider }: LoginContext, c: Context): Promise<Response> {
  const person = await deps.identity.person(c);
  const idToken = await sessions.end(c);
  deps.logger.info({ person: person.id, tenant: person.tenant }, 'logged out');
  // A link, not a redirect: `form-action` in the pages' Content-Security-Policy keeps forms from leading elsewhere.
  const url = await provider?.endSessionUrl(idToken);
  const there = url && { name: new URL(deps.settings.oidc?.issuer ?? url.href).host, url: url.href };
  return page(c, { title: 'Logged out', width: 'narrow' }, <LoggedOut provider={there} />);
}
