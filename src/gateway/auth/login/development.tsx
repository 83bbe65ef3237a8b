/** The login for development: whoever sits at this machine may be anybody of the people configured. */
import type { Context } from 'hono';
import { CountersignError } from '../../../action/errors.js';
import { isThisMachine } from '../../../http/addresses.js';
import { PRINCIPAL_PATTERN } from '../../../trust/claim-schemas.js';
import type { DevPerson, GatewaySettings } from '../../deps.js';
import { page } from '../../inbox/layout/layout.js';
import { isFromLoopback } from '../../middleware/same-host.js';
import type { GatewayEnv } from '../identity.js';
import type { LoginContext } from './context.js';
import { DevLogin } from './pages.js';
import { noLogin, refuse } from './refused.js';
import { safeReturn } from './return-to.js';

/** `GET /dev-login`: whom one may be. */
export async function offerDevPeople({ deps, logins }: LoginContext, c: Context<GatewayEnv>): Promise<Response> {
  const { devPeople: people } = deps.settings;
  if (people === undefined) return refuse(c, noLogin());
  try {
    checkFromHere(c);
    const { state } = await logins.begin(c, safeReturn(c.req.query('return_to')));
    return await page(
      c,
      { title: 'Log in for development', width: 'narrow' },
      <DevLogin people={people} state={state} />,
    );
  } catch (error) {
    return refuse(c, error);
  }
}

/** `POST /dev-login`: logs in as the person chosen. */
export async function logInAsDevPerson(context: LoginContext, c: Context<GatewayEnv>): Promise<Response> {
  const { deps, sessions, logins } = context;
  const { devPeople } = deps.settings;
  if (devPeople === undefined) return refuse(c, noLogin());
  let returnTo = '/';
  try {
    checkFromHere(c);
    sessions.ownOrigin(c);
    const { state, person: index } = await c.req.parseBody();
    const begun = await logins.take(c, typeof state === 'string' ? state : undefined);
    returnTo = begun.returnTo;
    const person = typeof index === 'string' && /^\d{1,4}$/.test(index) ? devPeople[Number(index)] : undefined;
    if (person === undefined) throw noSuchPerson();
    const { id, name, tenant, roles } = person;
    await sessions.begin(c, { id, name, tenant, roles, auth: { method: 'dev', by: 'dev' } });
    deps.logger.warn({ person: id, tenant, roles }, 'logged in by the login for development');
  } catch (error) {
    return refuse(c, error, returnTo);
  }
  return c.redirect(safeReturn(returnTo), 303);
}

/** That the login for development lets in nobody but whoever sits at this machine. @throws CountersignError CONFIG_INVALID */
export function checkDevelopment({ devPeople, oidc, publicUrl }: GatewaySettings): void {
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

/** The page lets anyone be anybody: it is for whoever sits at this machine. */
function checkFromHere(c: Context<GatewayEnv>): void {
  const host = c.req.header('host')?.replace(/:\d+$/, '') ?? '';
  if (isThisMachine(host.toLowerCase()) && isFromLoopback(c)) return;
  throw new CountersignError('FORBIDDEN', 'The login for development is open on this machine only.', {
    expected: 'a request from this machine, for localhost',
    fix: 'Configure an identity provider (OpenID Connect).',
  });
}

function noSuchPerson(): CountersignError {
  return new CountersignError('FORBIDDEN', 'Nobody of that name is configured for development.', { field: 'person' });
}
