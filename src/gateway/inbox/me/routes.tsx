/** The routes of a person's own page. What they command there is signed for them, handed in and executed by a worker. */
import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { withoutUndefined } from '../../../action/json.js';
import { samePerson } from '../../../action/quorum.js';
import type { GatewayDependencies } from '../../deps.js';
import type { GatewayEnv } from '../../auth/identity.js';
import { assertRecentLogin } from '../../auth/recent-login.js';
import { form, reason } from '../form-input.js';
import { page } from '../layout/layout.js';
import { Me } from './me.js';

const wholeNumber = z
  .string()
  .regex(/^\d{1,9}$/, 'a whole number')
  .transform(Number);
const hours = wholeNumber.refine((value) => value >= 1 && value <= 24 * 365, 'from 1 hour to 1 year (8760)');

const standingApprovalSchema = z
  .object({
    agent: z.string().max(128),
    tool: z.string().max(63),
    operation: z.string().max(128).optional(),
    environment: z.string().max(128).optional(),
    maxRows: wholeNumber.optional(),
    actions: wholeNumber.optional(),
    amount: z
      .string()
      .regex(/^\d{1,12}(\.\d{1,6})?$/, 'an amount, such as 50')
      .transform(Number)
      .optional(),
    unit: z.string().max(16).optional(),
    hours,
    reason,
  })
  .refine(({ amount, unit }) => (amount === undefined) === (unit === undefined), {
    path: ['unit'],
    message: 'an amount and its unit, or neither',
  });

const delegationSchema = z.object({
  person: z.string().max(128),
  role: z.string().max(63),
  inHours: wholeNumber.optional(),
  hours,
  reason,
});
const reasonSchema = z.object({ reason });

export function meRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.get('/me', (c) => showMe(deps, c));
  app.post('/me/standing', (c) => createStandingApproval(deps, c));
  app.post('/me/standing/:id/withdraw', (c) =>
    takeBack(deps, c, { kind: 'withdraw_standing_approval', subject: c.req.param('id') }, 'standing'),
  );
  app.post('/me/role-delegations', (c) => delegateRole(deps, c));
  app.post('/me/role-delegations/:id/end', (c) =>
    takeBack(deps, c, { kind: 'end_role_delegation', subject: c.req.param('id') }, 'role-delegations'),
  );
  return app;
}

async function showMe({ identity, ledger, settings }: GatewayDependencies, c: Context): Promise<Response> {
  const person = await identity.person(c);
  const { tenant, id } = person;
  const [standing, duties, passkeys] = await Promise.all([
    ledger.standingApprovals.list({ tenant, activeOnly: true }),
    ledger.roleDelegations.list({ tenant, activeOnly: true }),
    settings.passkeys === undefined ? undefined : ledger.passkeys.list(tenant, id),
  ]);
  const own = duties.toSorted((a, b) => Number(samePerson(b.person, id)) - Number(samePerson(a.person, id)));
  return page(
    c,
    { title: 'You', person, section: 'me', scripts: settings.passkeys === undefined ? [] : ['simplewebauthn.js'] },
    <Me person={person} passkeys={passkeys} standing={standing} delegations={own} now={new Date()} />,
  );
}

async function createStandingApproval({ identity, decisions }: GatewayDependencies, c: Context): Promise<Response> {
  const person = await identity.person(c);
  assertRecentLogin(person, 'give a standing approval');
  const { agent, tool, amount, unit, hours: lasts, reason: why, ...bounds } = await form(c, standingApprovalSchema);
  await decisions.state(person, {
    kind: 'create_standing_approval',
    subject: agent,
    tool,
    ...withoutUndefined(bounds),
    ...(amount === undefined || unit === undefined ? {} : { amounts: { [unit]: amount } }),
    until: inHours(lasts),
    reason: why,
  });
  return c.redirect('/me#standing', 303);
}

async function delegateRole({ identity, decisions }: GatewayDependencies, c: Context): Promise<Response> {
  const person = await identity.person(c);
  assertRecentLogin(person, 'delegate a role');
  const { person: subject, role, inHours: begins = 0, hours: lasts, reason: why } = await form(c, delegationSchema);
  await decisions.state(person, {
    kind: 'delegate_role',
    subject,
    role,
    from: inHours(begins),
    until: inHours(begins + lasts),
    reason: why,
  });
  return c.redirect('/me#role-delegations', 303);
}

/** Takes back what was given, and leads back to its section of the page. */
async function takeBack(
  { identity, decisions }: GatewayDependencies,
  c: Context,
  command: { readonly kind: 'withdraw_standing_approval' | 'end_role_delegation'; readonly subject: string },
  section: string,
): Promise<Response> {
  const person = await identity.person(c);
  const { reason: why } = await form(c, reasonSchema);
  await decisions.state(person, { ...command, reason: why });
  return c.redirect(`/me#${section}`, 303);
}

function inHours(amount: number): string {
  return new Date(Date.now() + amount * 3_600_000).toISOString();
}
