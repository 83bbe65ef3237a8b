/** The routes of freezes. Freezing writes to the ledger at once; lifting is a person's signed statement. */
import { Hono } from 'hono';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../identity.js';
import type { PersonPrincipal } from '../principal.js';
import { FREEZABLE, Freezes } from './freezes.js';
import { form, reason } from './input.js';
import { page } from './layout.js';

const freezeSchema = z
  .object({ kind: z.enum(FREEZABLE), value: z.string().max(200).optional(), reason })
  .refine(({ kind, value }) => (kind === 'all') === (value === undefined), {
    path: ['value'],
    message: 'its name, and none where everything is meant',
  });

export function freezeRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity, ledger, decisions, settings } = deps;
  const app = new Hono<GatewayEnv>();
  const mayFreeze = ({ roles }: PersonPrincipal): boolean => roles.some((role) => settings.freezeRoles.includes(role));

  const ours = async ({ tenant }: PersonPrincipal) =>
    (await ledger.freezes()).filter((freeze) => freeze.tenant === tenant || freeze.tenant === '*');

  app.get('/freezes', async (c) => {
    const person = await identity.person(c);
    const freezes = await ours(person);
    return page(
      c,
      { title: 'Freezes', person, section: 'freezes' },
      <Freezes person={person} freezes={freezes} mayFreeze={mayFreeze(person)} now={new Date()} />,
    );
  });

  app.post('/freezes', async (c) => {
    const person = await identity.person(c);
    if (!mayFreeze(person)) {
      throw new CountersignError('ROLE_REQUIRED', 'You have no role that may freeze.', {
        field: 'roles',
        expected: `one of ${settings.freezeRoles.join(', ')}`,
        fix: 'Ask somebody who has such a role.',
      });
    }
    const { kind, value, reason: why } = await form(c, freezeSchema);
    await ledger.freeze({
      tenant: person.tenant,
      scope: { kind, ...(value === undefined ? {} : { value }) },
      reason: why,
      by: person.id,
    });
    return c.redirect('/freezes', 303);
  });

  app.post('/freezes/:id/lift', async (c) => {
    const person = await identity.person(c);
    const { reason: why } = await form(c, z.object({ reason }));
    const id = c.req.param('id');
    if (!(await ours(person)).some((freeze) => String(freeze.id) === id)) {
      throw new CountersignError('NOT_FOUND', 'There is no such freeze.', { field: 'id' });
    }
    await decisions.state(person, { kind: 'unfreeze', subject: id, reason: why });
    return c.redirect('/freezes', 303);
  });

  return app;
}
